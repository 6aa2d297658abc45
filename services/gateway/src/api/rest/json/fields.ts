import { Type } from '@sinclair/typebox';
import { NAME, NAME_RULE, QUALIFIER, QUALIFIER_RULE } from '@evenfall/function-model';

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
/** A time in a request. */
export const Time = Type.String({
  pattern: `^(${DAY})[Tt]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?([Zz]|[+-]([01]\\d|2[0-3]):[0-5]\\d)$`,
  examples: ['2026-01-31T12:00:00.000Z'],
  'x-rule': TIME_RULE,
});
/** A time in an answer: a Date, which JSON.stringify writes in RFC 3339. */
export const Moment = Type.Unsafe<Date>(Type.String({ format: 'date-time' }));

/** A text that is no name is refused as INVALID_NAME, as by the other APIs. */
export const Name = Type.String({ pattern: NAME.source, 'x-rule': NAME_RULE, 'x-reason': 'INVALID_NAME', examples: ['default'] });
/** A namespace, or all of them. */
export const NameOrAll = Type.String({
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

const NUL_RULE = { pattern: '^[^\\u0000]*$', 'x-rule': 'text in Unicode without NUL characters' };
/** Text without NUL, which neither a process nor a database accepts; of `maxLength` characters at most. */
export const textWithoutNul = (description: string, maxLength?: number) =>
  Type.String({ description, ...NUL_RULE, ...(maxLength === undefined ? {} : { maxLength }) });
/** A value of a map without NUL. */
export const ValueWithoutNul = Type.String({ ...NUL_RULE, 'x-rule': 'it cannot hold a NUL character' });

export const PageQuery = {
  page_size: Type.Optional(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 })),
  page_token: Type.Optional(Type.String()),
};
/** The query of a list without filters. */
export const Paging = Type.Object(PageQuery, { additionalProperties: false });

export const NamespacePath = Type.Object({ namespace: Name });
export const FunctionPath = Type.Object({ namespace: Name, function: Name });
export const EventPath = Type.Object({ event_id: Type.String() });

/** Where one function is. */
export const FUNCTION_PATH = '/v1/namespaces/:namespace/functions/:function([^:/]+)';
/** Where one event is. */
export const EVENT_PATH = '/v1/events/:event_id([^:/]+)';
