import { setImmediate } from 'node:timers/promises';
import type { LogPosition, EventToAccept } from '@evenfall/contracts/queue/v1/queue_service';
import type { BatchCreateEventsRequest, BatchCreateEventsResponse, RefusedSubmission } from '@evenfall/contracts/v1/event_service';
import { isRefusal, orThrow, refuse, Refusal } from '@evenfall/errors';
import { eventPolicyOf } from '@evenfall/function-model';
import { MAX_BATCH_BYTES, MAX_BATCH_EVENTS } from '../domain/batch-limits.ts';
import { eventToAccept } from '../domain/submission.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Caller, Gateway } from '../ports.ts';
import { reusedKeys, reuseOf } from './read-back.ts';
import { runnableFunction } from './resolve.ts';

/** How long the events of one batch may be looked at in one go. */
const SLICE_MS = 8;

/**
 * Accepts up to 1,000 events of one function, all or none. A key that comes twice is one event; a submission whose key names an event of another request is
 * refused by itself.
 */
export async function batchCreateEvents(
  gateway: Gateway,
  caller: Caller,
  request: BatchCreateEventsRequest,
  /** Whether every payload is known to be JSON text. */
  { areJson = false }: { readonly areJson?: boolean } = {},
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
    isJson: areJson,
  };
  const made: EventToAccept[] = [];
  const pause = pauses();
  for (const [index, submission] of submissions.entries()) {
    made.push(orThrow(atIndex(index, eventToAccept(submission, context))));
    const turn = pause();
    if (turn) await turn;
  }
  const first = new Map<string, EventToAccept>();
  for (const created of made) if (!first.has(created.eventId)) first.set(created.eventId, created);
  const { positions } = await gateway.queue.acceptEvents({ events: [...first.values()] }, { timeoutMs: TIMEOUTS_MS.accept });
  const keyed = [...first.values()].filter(({ accepted }) => accepted?.keyed);
  return answerOf(made, first, await refusalsOf(gateway, keyed, positions, keyed.length === first.size));
}

/** Makes what lets others go first, once a piece of work has held the event loop for some milliseconds. */
function pauses(): () => Promise<void> | undefined {
  let sinceMs = performance.now();
  return () => {
    if (performance.now() - sinceMs < SLICE_MS) return undefined;
    return setImmediate().then(() => void (sinceMs = performance.now()));
  };
}

/** The refusals of events with keys, by id. Where it cannot be read what the keys name, that is the answer to them, and to the whole call if all have keys. */
async function refusalsOf(
  gateway: Gateway,
  keyed: readonly EventToAccept[],
  positions: LogPosition[],
  areAll: boolean,
): Promise<ReadonlyMap<string, Refusal>> {
  try {
    return await reusedKeys(gateway, keyed, positions);
  } catch (error) {
    if (areAll || !isRefusal(error)) throw error; // the others are accepted: to send them again would make them twice
    return new Map(keyed.map(({ eventId }) => [eventId, error]));
  }
}

/** Every submission answers for itself: by its id, or by its refusal. */
function answerOf(
  made: readonly EventToAccept[],
  first: ReadonlyMap<string, EventToAccept>,
  reused: ReadonlyMap<string, Refusal>,
): BatchCreateEventsResponse {
  const refused: RefusedSubmission[] = [];
  const eventIds = made.map((created, index) => {
    const { eventId } = created;
    // Where the key named an event before, every submission is measured by that one; else by the first of the batch.
    const known = reused.get(eventId);
    const accepted = known?.metadata['accepted_sha256'] ?? first.get(eventId)?.accepted?.requestSha256;
    const refusal = known && known.reason !== 'IDEMPOTENCY_KEY_REUSED' ? known : reuseOf(created, accepted);
    if (!refusal) return eventId;
    refused.push({ index, reason: refusal.reason, message: refusal.message, metadata: { ...refusal.metadata } });
    return '';
  });
  return { eventIds, refused };
}

/** Adds to a refusal which event of the batch it is about. */
function atIndex<T>(index: number, made: T | Refusal): T | Refusal {
  return isRefusal(made) ? new Refusal(made.reason, { ...made.metadata, index: String(index) }) : made;
}
