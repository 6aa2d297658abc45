import {
  ANNOTATION_NAME,
  INSTANCE_BOUNDS,
  MEMORY_MB,
  NAME,
  NAME_RULE,
  RESERVED_PREFIXES,
  RETRIES,
  RUNTIMES,
  TEXT_LIMITS,
  VARIABLE_NAME,
} from '@evenfall/function-model';
import { type Static, Type } from '@sinclair/typebox';
import { Duration, Moment, Name, ValueWithoutNul } from '../json/fields.ts';
import { choiceOf, conditions, has, named, orNull, STRICT } from '../json/schema.ts';
import { ByCause, Policy } from '../termination/schema.ts';

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
export type WholeDestination = Static<typeof DestinationSchema>;
/** A destination, or what a patch names of one. */
export type DestinationBody = Omit<WholeDestination, 'webhook'> & { readonly webhook?: Partial<NonNullable<WholeDestination['webhook']>> };

export const EventInvoke = Type.Object(
  {
    max_retries: Type.Optional(Type.Integer({ minimum: RETRIES.least, maximum: RETRIES.most })),
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

/** Names of variables: those that runtimes set themselves are left out, in any case of letters. */
const reserved = RESERVED_PREFIXES.map((prefix) => prefix.slice(0, -1).replace(/[A-Z]/g, (letter) => `[${letter}${letter.toLowerCase()}]`));
const VARIABLE_PATTERN = `^(?!(${reserved.join('|')})_)${VARIABLE_NAME.source.slice(1)}`;

export const functionFields = {
  description: Type.Optional(Type.String({ maxLength: TEXT_LIMITS.description })),
  runtime: Type.Optional(choiceOf(RUNTIMES)),
  handler: Type.Optional(Type.String({ examples: ['index.main_handler'] })),
  timeout: Type.Optional(Duration),
  memory_mb: Type.Optional(
    Type.Integer({
      minimum: MEMORY_MB.least,
      maximum: MEMORY_MB.most,
      description: `${MEMORY_MB.least}, or a multiple of ${MEMORY_MB.step}.`,
      ...conditions([{ if: { minimum: MEMORY_MB.least + 1 }, then: { multipleOf: MEMORY_MB.step } }]),
    }),
  ),
  tmp_mb: bounded(
    INSTANCE_BOUNDS.tmpMb,
    'Megabytes of temporary files, in /tmp, /var/tmp and /dev/shm together. They are memory of the host',
  ),
  max_processes: bounded(INSTANCE_BOUNDS.maxProcesses, 'Processes and threads at a time'),
  environment: Type.Optional(
    Type.Record(Type.String(), ValueWithoutNul, {
      propertyNames: { pattern: VARIABLE_PATTERN },
      description: 'At most 4 KB of names and values.',
    }),
  ),
  annotations: Type.Optional(
    Type.Record(Type.String(), ValueWithoutNul, {
      propertyNames: { pattern: ANNOTATION_NAME.source },
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
    ...conditions([
      { if: has('port'), then: { properties: { runtime: { const: 'web' } } } },
      {
        if: { properties: { runtime: { const: 'go1' } } },
        then: { not: { anyOf: [has('initializer'), has('pre_stop')] } },
      },
    ]),
  },
);
/** The settings of a function, or what a patch names of them. */
export type FunctionSettingsBody = Partial<
  Omit<Static<typeof FunctionCreate>, 'name' | 'code_zip' | 'event_invoke' | 'initializer' | 'pre_stop'>
> & {
  readonly event_invoke?: EventInvokeBody;
  readonly initializer?: HookBody;
  readonly pre_stop?: HookBody;
};

/** A function version, as callers read it. */
export const FunctionAnswer = named(
  'Function',
  Type.Object({
    namespace: Type.String(),
    name: Type.String(),
    version: Type.String(),
    revision: Type.Integer(),
    uid: Type.String({ description: 'Distinguishes it from earlier functions with its name. Empty for a function of an earlier release.' }),
    description: Type.String(),
    runtime: Type.String(),
    handler: Type.String(),
    timeout: Duration,
    memory_mb: Type.Integer(),
    tmp_mb: Type.Integer(),
    max_processes: Type.Integer(),
    environment: Type.Record(Type.String(), Type.String()),
    annotations: Type.Record(Type.String(), Type.String()),
    termination: orNull(Policy),
    termination_by_cause: orNull(ByCause),
    event_invoke: orNull(EventInvoke),
    initializer: orNull(HookSchema),
    pre_stop: orNull(HookSchema),
    init_timeout: Duration,
    port: orNull(Type.Integer()),
    code_sha256: Type.String(),
    code_size_bytes: Type.Integer(),
    create_time: Moment,
    update_time: Moment,
  }),
);
export type FunctionAnswerBody = Static<typeof FunctionAnswer>;
