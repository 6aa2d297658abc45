import { type Static, Type } from '@sinclair/typebox';
import { Moment, NameOrAll } from '../json/fields.ts';
import { conditions, has, named, orNull, STRICT } from '../json/schema.ts';

const MAX_COUNT = 1_000_000_000;
/** A burst without a rate would limit nothing. */
const LIMITS = { ...STRICT, ...conditions([{ if: has('burst'), then: has('events_per_second') }]) };

const limit = (description: string, maximum = MAX_COUNT) => Type.Optional(Type.Integer({ minimum: 0, maximum, description }));
const rateLimits = {
  events_per_second: limit('Events, and synchronous calls, a second; 0 for none at all.', 1_000_000),
  burst: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 10_000_000, description: 'Events that may come at once; by default those of one second.' }),
  ),
};
export const NamespaceQuotaBody = Type.Object(
  {
    ...rateLimits,
    queued_events: limit('Events that wait to start.'),
    functions: limit('Functions.'),
    versions: limit('Published versions of all functions.'),
    code_bytes: limit('Bytes of code packages, each once.', Number.MAX_SAFE_INTEGER),
    instances: limit('Instances at the same time.'),
  },
  LIMITS,
);
/** Without instances: an instance runs events of every key, so it counts for its namespace alone. */
export const KeyQuotaBody = Type.Object(
  {
    ...rateLimits,
    queued_events: limit('Events sent with it that wait to start.'),
    functions: limit('Functions created with it.'),
    versions: limit('Versions published with it.'),
    code_bytes: limit('Bytes of code packages uploaded with it, each once.', Number.MAX_SAFE_INTEGER),
  },
  LIMITS,
);
/** The limits that both kinds of quota have. */
export type LimitsBody = Static<typeof KeyQuotaBody>;

export const QuotaNamespacePath = Type.Object({ namespace: NameOrAll });
export const QuotaKeyPath = Type.Object({
  key_id: Type.String({
    pattern: '^(\\*|[\\w.-]{1,64})$',
    'x-rule': '"*", or 1 to 64 letters, digits, ".", "_" and "-"',
    examples: ['ci'],
  }),
});

const count = (description: string) => orNull(Type.Integer({ description }));
const rateFields = {
  events_per_second: count('Events and synchronous calls a second, at each gateway.'),
  burst: count('Events that may come at once; null for those of one second.'),
};
const namespaceQuotaFields = {
  namespace: Type.String({ description: 'The namespace, or `*` for the default.' }),
  ...rateFields,
  queued_events: count('Events that wait to start.'),
  functions: count('Functions.'),
  versions: count('Published versions of all functions.'),
  code_bytes: count('Bytes of code packages, each once.'),
  instances: count('Instances at the same time.'),
  update_time: orNull(Moment),
};
const keyQuotaFields = {
  key_id: Type.String({ description: 'The key, or `*` for the default.' }),
  ...rateFields,
  queued_events: count('Events sent with it that wait to start.'),
  functions: count('Functions created with it.'),
  versions: count('Versions published with it.'),
  code_bytes: count('Bytes of code packages uploaded with it, each once.'),
  update_time: orNull(Moment),
};
const Usage = orNull(Type.Object({ functions: Type.Integer(), versions: Type.Integer(), code_bytes: Type.Integer() }));
const IsDefault = Type.Boolean({ description: 'Whether it is the default, because there is no quota of its own.' });
const NOT_LIMITED = { description: 'Null is not limited.' };

export const NamespaceQuota = named('NamespaceQuota', Type.Object(namespaceQuotaFields, NOT_LIMITED));
export type NamespaceQuotaAnswer = Static<typeof NamespaceQuota>;
export const NamespaceQuotaInUse = named(
  'NamespaceQuotaInUse',
  Type.Object({
    ...namespaceQuotaFields,
    is_default: IsDefault,
    usage: Usage,
  }),
);
export type UsageBody = NonNullable<Static<typeof NamespaceQuotaInUse>['usage']>;

export const KeyQuota = named('KeyQuota', Type.Object(keyQuotaFields, NOT_LIMITED));
export type KeyQuotaAnswer = Static<typeof KeyQuota>;
export const KeyQuotaInUse = named('KeyQuotaInUse', Type.Object({ ...keyQuotaFields, is_default: IsDefault, usage: Usage }));
