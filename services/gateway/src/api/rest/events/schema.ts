import { Attempt_Outcome, Delivery_Kind, Delivery_State, Event_State } from '@evenfall/contracts/v1/event';
import type { Readable } from 'node:stream';
import { type Static, Type } from '@sinclair/typebox';
import { MAX_BATCH_EVENTS } from '../../../domain/batch-limits.ts';
import { Duration, Moment, PageQuery, Qualifier, textWithoutNul, Time } from '../json/fields.ts';
import { choiceOf, enumOf, named, orNull, ref, STRICT } from '../json/schema.ts';
import { Termination } from '../termination/schema.ts';

export const Attempt = named(
  'Attempt',
  Type.Object({
    number: Type.Integer(),
    instance_id: Type.String(),
    agent_id: Type.String(),
    cold_start: Type.Boolean(),
    revision: orNull(Type.Integer({ description: 'Of the function version it ran.' })),
    start_time: orNull(Moment),
    end_time: orNull(Moment),
    outcome: orNull(enumOf(Attempt_Outcome)),
    status_code: Type.Integer(),
    duration_ms: Type.Number(),
    memory_bytes: Type.Integer(),
    exit_code: Type.Optional(Type.Integer()),
    signal: Type.Optional(Type.String()),
    error: Type.Optional(Type.Unknown()),
    cold_start_detail: Type.Optional(
      Type.Object({ pull_code_ms: Type.Number(), init_runtime_ms: Type.Number(), init_function_ms: Type.Number() }),
    ),
    stop: Type.Optional(
      Type.Unsafe<Static<typeof Termination>>({ ...ref(Termination), description: 'The receipt of a stop that no caller asked for.' }),
    ),
  }),
);
export type AttemptBody = Static<typeof Attempt>;

export const Delivery = named(
  'Delivery',
  Type.Object({
    kind: enumOf(Delivery_Kind),
    target: Type.String({ description: 'The function, the topic, or scheme and host of the URL.' }),
    state: enumOf(Delivery_State),
    attempt_count: Type.Integer({ description: 'While it is pending not every attempt is written down.' }),
    last_error: orNull(Type.String()),
    time: Moment,
    event_id: Type.Optional(Type.String({ description: 'Event that was made of it, if it is a function.' })),
  }),
);
export type DeliveryBody = Static<typeof Delivery>;

export const Event = named(
  'Event',
  Type.Object({
    id: Type.String(),
    namespace: Type.String(),
    function: Type.String(),
    qualifier: Type.String(),
    version: Type.String(),
    trigger: Type.String(),
    state: enumOf(Event_State),
    status_code: Type.Integer({ description: '0 while no attempt has ended.' }),
    result: Type.Unknown(),
    error: Type.Unknown(),
    result_truncated: Type.Optional(Type.Boolean()),
    create_time: Moment,
    start_time: orNull(Moment),
    end_time: orNull(Moment),
    next_attempt_time: orNull(Moment),
    attempts: Type.Array(ref(Attempt)),
    termination: orNull(ref(Termination)),
    redriven_from: Type.Optional(Type.String({ description: 'Event whose dead letter this one was made of.' })),
    redriven_to: Type.Optional(Type.String({ description: 'Event that was made of the dead letter of this one.' })),
    request_sha256: Type.Optional(Type.String({ description: 'Over qualifier, delay and payload, with an idempotency key.' })),
    origin_event_id: Type.Optional(Type.String({ description: 'Event whose end this one reports to a destination.' })),
    deliveries: Type.Optional(Type.Array(ref(Delivery), { description: 'Destinations of its result, and the state of each delivery.' })),
  }),
);
export type EventBody = Static<typeof Event>;

export const EventPage = Type.Object({
  events: Type.Array(ref(Event)),
  next_page_token: Type.String(),
  total_size: Type.Optional(Type.Integer({ description: 'How many match on all pages; only with show_total_size.' })),
  total_size_is_estimate: Type.Optional(Type.Boolean()),
});
export const Counts = Type.Object({
  counts: Type.Array(Type.Object({ function: Type.String(), state: enumOf(Event_State), count: Type.Integer() })),
});
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

/** Bytes beyond ASCII have no agreed meaning in a header (RFC 9110 §5.5): two clients would mean different keys by the same bytes. */
const KeyHeader = Type.String({
  pattern: '^ *[!-~][ -~]*$',
  'x-rule': 'characters of ASCII that are not all blank',
  examples: ['order-1'],
});
/** An empty one is none. */
const Delay = Type.String({ ...Duration, pattern: `^$|${Duration.pattern ?? ''}` });
/** Refusals name the field that is meant, in its own spelling. */
const QualifierHeader = { ...Qualifier, 'x-field': 'qualifier' };
const DelayHeader = { ...Delay, 'x-field': 'Evenfall-Delay' };

export const CreateHeaders = Type.Object({
  'idempotency-key': Type.Optional(KeyHeader),
  'evenfall-qualifier': Type.Optional(QualifierHeader),
  'evenfall-delay': Type.Optional(DelayHeader),
  traceparent: Type.Optional(Type.String()),
});
/** Any JSON value: the body is the payload and stays the bytes it came as. */
export const Payload = Type.Unsafe<Buffer | undefined>(Type.Unknown({ description: 'Any JSON value.' }));

export const BatchHeaders = Type.Object({
  'evenfall-qualifier': Type.Optional(QualifierHeader),
  traceparent: Type.Optional(Type.String()),
});
/** A batch; it arrives as the parts of its body, or as a stream of lines. */
export const Batch = Type.Unsafe<readonly Buffer[] | Readable | undefined>(
  Type.Object(
    {
      events: Type.Array(
        Type.Object(
          {
            payload: Type.Optional(Type.Unknown({ description: 'Any JSON value; null by default. Kept as the bytes it is written as.' })),
            idempotency_key: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
            delay: Type.Optional(Delay),
          },
          STRICT,
        ),
        { minItems: 1, maxItems: MAX_BATCH_EVENTS },
      ),
    },
    STRICT,
  ),
);
/** The id or the error of each event of a batch, in order. */
export const BatchAnswer = Type.Object({
  events: Type.Array(
    Type.Object({ id: Type.Optional(Type.String()), error: Type.Optional(Type.Unknown({ description: 'Instead of an id.' })) }),
  ),
});
