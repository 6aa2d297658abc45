import { type Static, Type } from '@sinclair/typebox';
import { Duration, Qualifier } from '../json/fields.ts';
import { named, STRICT } from '../json/schema.ts';

export const InvocationQuery = Type.Object({ qualifier: Type.Optional(Qualifier), queue_timeout: Type.Optional(Duration) }, STRICT);
export const InvocationHeaders = Type.Object({
  'evenfall-qualifier': Type.Optional(Qualifier),
  'evenfall-cancel': Type.Optional(
    Type.Literal('on-disconnect', {
      description: 'Stops the function by its termination policy if the caller leaves; otherwise it runs on.',
    }),
  ),
});

export const Invocation = named(
  'Invocation',
  Type.Object({
    event_id: Type.String(),
    status_code: Type.Integer(),
    result: Type.Optional(Type.Unknown()),
    error: Type.Optional(Type.Unknown()),
    log_tail: Type.String({
      description:
        'The last 4 KB of its log. A line that begins as the platform’s do is the platform’s: a function’s that would has a `>` before it.',
    }),
    duration_ms: Type.Number(),
    billed_duration_ms: Type.Integer(),
    memory_bytes: Type.Integer(),
  }),
);
export type InvocationBody = Static<typeof Invocation>;
