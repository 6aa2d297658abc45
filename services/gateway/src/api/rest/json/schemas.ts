import { INSTANCE_BOUNDS } from '@evenfall/function-model';
import { KillSignal, SignalScope } from '@evenfall/contracts/v1/termination';
import { Event_State } from '@evenfall/contracts/v1/event';
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { NAME, NAME_RULE, QUALIFIER, QUALIFIER_RULE } from '../../../domain/names.ts';
import { namesIn, type ProtoEnum } from './enum-names.ts';

const STRICT = { additionalProperties: false } as const;
const DURATION_RULE = 'a duration such as "500ms", "30s", "10m" or "6h"';
const TIME_RULE = 'a time that exists, in RFC 3339, such as "2026-01-31T12:00:00.000Z"; in a query the plus of an offset is written %2B';

export const Duration = Type.String({ pattern: '^\\d{1,12}(\\.\\d{1,6})?(ms|s|m|h)$', examples: ['5s'], 'x-rule': DURATION_RULE });
/** Days that exist: 28 in every month, the others where a month has them, and the 29th of February in leap years. */
const DAY = [
  '(?!0000)\\d{4}-(0[1-9]|1[0-2])-(0[1-9]|1\\d|2[0-8])',
  '(?!0000)\\d{4}-(0[13-9]|1[0-2])-(29|30)',
  '(?!0000)\\d{4}-(0[13578]|1[02])-31',
  '(?!0000)(\\d\\d(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29',
].join('|');
export const Time = Type.String({
  pattern: `^(${DAY})[Tt]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)$`,
  examples: ['2026-01-31T12:00:00.000Z'],
  'x-rule': TIME_RULE,
});
/** A name that cannot be is refused as INVALID_NAME, as at the other doors. */
export const Name = Type.String({ pattern: NAME.source, 'x-rule': NAME_RULE, 'x-reason': 'INVALID_NAME', examples: ['default'] });
/** A namespace, or all of them. */
export const NAME_OR_ALL = Type.String({
  pattern: `^\\*$|${NAME.source}`,
  'x-rule': `"*", or ${NAME_RULE}`,
  examples: ['default'],
});
export const Qualifier = Type.String({
  pattern: `^$|${QUALIFIER.source}`,
  'x-rule': QUALIFIER_RULE,
  'x-reason': 'INVALID_NAME',
  examples: ['$LATEST', '1'],
});
/** Number of a published version. */
export const VersionNumber = Type.String({
  pattern: '^[1-9]\\d{0,8}$',
  'x-rule': 'the number of a published version: "$LATEST" may change, and has nothing provisioned',
  examples: ['1'],
});
/**
 * What a condition on other fields says, for the document alone: the check of it is where the setting is used, and says more than a schema could.
 * Generators of clients pass it over.
 */
export const only = (conditions: readonly object[]) => ({ allOf: conditions });
/** Whether a field is there. */
export const has = (field: string) => ({ required: [field], properties: { [field]: {} } });
/** Text without NUL, which neither a process nor a database takes. */
const NUL_RULE = { pattern: '^[^\\u0000]*$', 'x-rule': 'text in Unicode without NUL characters' };
/** Such text in a filter; of so many characters at most. */
export const textWithoutNul = (description: string, maxLength?: number) =>
  Type.String({ description, ...NUL_RULE, ...(maxLength === undefined ? {} : { maxLength }) });
const NO_NUL = Type.String({ ...NUL_RULE, 'x-rule': 'it cannot hold a NUL character' });
const namesOf = (pattern: string) => ({ propertyNames: { pattern } });
/** One of some words. */
export const choiceOf = (names: readonly string[]) =>
  Type.String({ enum: [...names], pattern: `^(${names.join('|')})$`, 'x-rule': `one of ${names.join(', ')}` });
export const enumOf = (values: ProtoEnum) => choiceOf(namesIn(values));
/** The signals a caller may ask for. */
const AskedSignal = choiceOf(namesIn(KillSignal).filter((name) => name !== 'SIGKILL'));
/** A response's schema by its name in the document. */
export const ref = (id: string): TSchema => Type.Unsafe({ $ref: `${id}#` });
export const pageOf = (field: string, id: string): TSchema => Type.Object({ [field]: Type.Array(ref(id)), next_page_token: Type.String() });

const policyFields = {
  kill_signal: Type.Optional(AskedSignal),
  grace_period: Type.Optional(Duration),
  escalation: Type.Optional(Type.Array(Type.Object({ signal: AskedSignal, wait: Duration }, STRICT), { maxItems: 8 })),
  signal_scope: Type.Optional(enumOf(SignalScope)),
  exit_grace: Type.Optional(Duration),
  exit_after_answer: Type.Optional(Type.Boolean()),
};
export const Policy = Type.Object({ ...policyFields, max_grace_period: Type.Optional(Duration) }, STRICT);
export type PolicyBody = Static<typeof Policy>;
/** Policies for the stops that nobody asks for. */
export const ByCause = Type.Object({ timeout: Type.Optional(Policy), drain: Type.Optional(Policy), update: Type.Optional(Policy) }, STRICT);
export type ByCauseBody = Static<typeof ByCause>;

const NAME_PART = NAME.source.slice(1, -1);
/** Exactly one of these; functions as "audit", "other-namespace/audit" or "audit:3". */
export const DestinationSchema = Type.Object(
  {
    function: Type.Optional(
      Type.String({
        pattern: `^(${NAME_PART}/)?${NAME_PART}(:(\\$LATEST|\\$DEFAULT|[1-9]\\d{0,8}))?$`,
        examples: ['audit', 'other-namespace/audit:3'],
        'x-rule': `a function as "name", "namespace/name" or "name:version"; a name has ${NAME_RULE}`,
      }),
    ),
    topic: Type.Optional(
      Type.String({
        pattern: '^(?!\\.{1,2}$|__)[\\w.-]{1,249}$',
        examples: ['orders-done'],
        'x-rule': '1 to 249 letters, digits, ".", "_" and "-", not beginning with "__"',
      }),
    ),
    webhook: Type.Optional(
      Type.Object(
        {
          url: Type.String({ examples: ['https://example.com/evenfall'] }),
          secret: Type.Optional(Type.String({ writeOnly: true, description: 'Signs the requests. May be left out if the URL stays.' })),
          secret_set: Type.Optional(Type.Boolean({ readOnly: true, description: 'In answers, instead of the secret.' })),
        },
        STRICT,
      ),
    ),
  },
  { ...STRICT, minProperties: 1, maxProperties: 1, 'x-rule': 'one of function, topic and webhook' },
);
type WholeDestination = Static<typeof DestinationSchema>;
/** A destination, or what a patch names of one. */
export type DestinationBody = Omit<WholeDestination, 'webhook'> & { readonly webhook?: Partial<NonNullable<WholeDestination['webhook']>> };

export const EventInvoke = Type.Object(
  {
    max_retries: Type.Optional(Type.Integer({ minimum: 0, maximum: 8 })),
    retry_interval: Type.Optional(Duration),
    max_event_age: Type.Optional(Duration),
    on_success: Type.Optional(DestinationSchema),
    on_failure: Type.Optional(DestinationSchema),
  },
  STRICT,
);
export type EventInvokeBody = Omit<Static<typeof EventInvoke>, 'on_success' | 'on_failure'> & {
  readonly on_success?: DestinationBody;
  readonly on_failure?: DestinationBody;
};

export const HookSchema = Type.Object({ handler: Type.String(), timeout: Type.Optional(Duration) }, STRICT);
export type HookBody = Partial<Static<typeof HookSchema>>;

function bounded({ least, most, default: usual }: { least: number; most: number; default: number }, what: string) {
  return Type.Optional(Type.Integer({ minimum: least, maximum: most, description: `${what}; ${usual} by default.` }));
}

export const functionFields = {
  description: Type.Optional(Type.String({ maxLength: 1_000 })),
  runtime: Type.Optional(choiceOf(['python3', 'nodejs', 'custom', 'go1', 'web'])),
  handler: Type.Optional(Type.String({ examples: ['index.main_handler'] })),
  timeout: Type.Optional(Duration),
  memory_mb: Type.Optional(
    Type.Integer({
      minimum: 64,
      maximum: 131_072,
      description: '64, or a multiple of 128.',
      ...only([{ if: { minimum: 65 }, then: { multipleOf: 128 } }]),
    }),
  ),
  tmp_mb: bounded(
    INSTANCE_BOUNDS.tmpMb,
    'Megabytes of temporary files, in /tmp, /var/tmp and /dev/shm together. They are memory of the host',
  ),
  max_processes: bounded(INSTANCE_BOUNDS.maxProcesses, 'Processes and threads at a time'),
  environment: Type.Optional(
    Type.Record(Type.String(), NO_NUL, {
      ...namesOf(
        '^(?!([Ss][Cc][Ff]|[Qq][Cc][Ll][Oo][Uu][Dd]|[Tt][Ee][Nn][Cc][Ee][Nn][Tt][Cc][Ll][Oo][Uu][Dd]|[Ee][Vv][Ee][Nn][Ff][Aa][Ll][Ll])_)[a-zA-Z][a-zA-Z0-9_]*$',
      ),
      description: 'At most 4 KB of names and values.',
    }),
  ),
  annotations: Type.Optional(
    Type.Record(Type.String(), NO_NUL, {
      ...namesOf('^[\\w./-]{1,100}$'),
      description: 'For tools: kept with the function. At most 4 KB of names and values.',
    }),
  ),
  termination: Type.Optional(Policy),
  termination_by_cause: Type.Optional(ByCause),
  event_invoke: Type.Optional(EventInvoke),
  initializer: Type.Optional(HookSchema),
  pre_stop: Type.Optional(HookSchema),
  init_timeout: Type.Optional(Duration),
  port: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535, description: 'Of a web function’s server; 9000 by default.' })),
};
export const FunctionCreate = Type.Object(
  {
    name: Name,
    ...functionFields,
    runtime: Type.Required(Type.Object({ runtime: functionFields.runtime })).properties.runtime,
    code_zip: Type.Optional(Type.String({ contentEncoding: 'base64', description: 'The code package: a zip file in base64.' })),
  },
  {
    ...STRICT,
    ...only([
      { if: has('port'), then: { properties: { runtime: { const: 'web' } } } },
      {
        if: { properties: { runtime: { const: 'go1' } } },
        then: { not: { anyOf: [has('initializer'), has('pre_stop')] } },
      },
    ]),
  },
);
export type FunctionBody = Omit<Static<typeof FunctionCreate>, 'code_zip' | 'event_invoke' | 'initializer' | 'pre_stop'> & {
  readonly event_invoke?: EventInvokeBody;
  readonly initializer?: HookBody;
  readonly pre_stop?: HookBody;
};

export const Terminate = Type.Object(
  {
    graceful: Type.Optional(Type.Boolean({ default: false })),
    ...policyFields,
    reason: Type.Optional(Type.String({ maxLength: 256 })),
    // In small letters too; generators of clients would make the same name of both.
    wait: Type.Optional(Type.String({ ...choiceOf(['DELIVERED', 'ENDED']), pattern: '^(DELIVERED|ENDED|delivered|ended)$' })),
  },
  {
    ...STRICT,
    ...only([
      {
        if: { anyOf: Object.keys(policyFields).map(has) },
        then: { required: ['graceful'], properties: { graceful: { const: true } } },
      },
    ]),
  },
);

export const PageQuery = {
  page_size: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
  page_token: Type.Optional(Type.String()),
};
export const EventQuery = Type.Object(
  {
    ...PageQuery,
    state: Type.Optional(Type.Array(enumOf(Event_State))),
    qualifier: Type.Optional(Qualifier),
    trigger: Type.Optional(textWithoutNul('Only events that came this way.')),
    start_time_after: Type.Optional(Time),
    start_time_before: Type.Optional(Time),
    end_time_after: Type.Optional(Time),
    end_time_before: Type.Optional(Time),
    order_by: Type.Optional(choiceOf(['start_time', 'end_time'])),
    order: Type.Optional(choiceOf(['desc', 'asc'])),
    show_total_size: Type.Optional(Type.Boolean({ description: 'Whether to say how many match on all pages together.' })),
  },
  STRICT,
);

export const NamespacePath = Type.Object({ namespace: Name });
export const FunctionPath = Type.Object({ namespace: Name, function: Name });
export const EventPath = Type.Object({ event_id: Type.String() });
