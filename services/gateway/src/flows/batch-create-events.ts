import type { NewEvent } from '@evenfall/contracts/queue/v1/queue_service';
import type { BatchCreateEventsRequest, BatchCreateEventsResponse } from '@evenfall/contracts/v1/event_service';
import { isRefusal, refuse, Refusal } from '@evenfall/errors';
import { eventPolicyOf } from '@evenfall/event-model';
import { newEventOf } from '../domain/submission.ts';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Caller, Gateway } from '../ports.ts';
import { runnableFunction } from './resolve.ts';

/** Events one batch may hold. */
export const MAX_BATCH_EVENTS = 1_000;
/** Bytes of all payloads of one batch: what the parts behind take in one message, with room to spare. */
export const MAX_BATCH_BYTES = 32 * 1024 * 1024;

/** Accepts up to 1,000 events of one function, all or none. A key that comes twice is one event. */
export async function batchCreateEvents(
  gateway: Gateway,
  caller: Caller,
  request: BatchCreateEventsRequest,
): Promise<BatchCreateEventsResponse> {
  const { submissions } = request;
  if (submissions.length === 0 || submissions.length > MAX_BATCH_EVENTS) {
    throw refuse('INVALID_FIELD', { field: 'events', rule: `1 to ${MAX_BATCH_EVENTS} events` });
  }
  let bytes = 0;
  for (const submission of submissions) bytes += submission.payload.length;
  if (bytes > MAX_BATCH_BYTES) throw refuse('REQUEST_TOO_LARGE', { max_bytes: MAX_BATCH_BYTES });

  const { fn, qualifier } = await runnableFunction(gateway, request);
  const context = {
    fn,
    qualifier,
    policy: eventPolicyOf(fn),
    traceparent: caller.traceparent,
    maxPayloadBytes: gateway.limits.maxPayloadBytes,
  };
  const events: NewEvent[] = [];
  const eventIds: string[] = [];
  const keyed = new Set<string>();
  for (const [index, submission] of submissions.entries()) {
    const created = atIndex(index, () => newEventOf(submission, context));
    eventIds.push(created.eventId);
    if (created.accepted?.keyed) {
      if (keyed.has(created.eventId)) continue;
      keyed.add(created.eventId);
    }
    events.push(created);
  }
  await gateway.queue.acceptEvents({ events }, { timeoutMs: LIMITS_MS.accept });
  return { eventIds };
}

/** Lets a refusal say which event of the batch it is about. */
function atIndex<T>(index: number, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (isRefusal(error)) throw new Refusal(error.reason, { ...error.metadata, index: String(index) });
    throw error;
  }
}
