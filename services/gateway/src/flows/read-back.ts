import type { LogPosition, EventToAccept } from '@evenfall/contracts/queue/v1/queue_service';
import type { Event } from '@evenfall/contracts/v1/event';
import { isRefusal, Refusal, refuse } from '@evenfall/errors';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/**
 * The event a keyed submission has come to, read behind its record: made of it, or long before. Refusals: IDEMPOTENCY_KEY_REUSED if it was made of
 * another request; VIEW_UNAVAILABLE if that cannot be read now.
 */
export async function keyedEvent(gateway: Gateway, created: EventToAccept, after: LogPosition[]): Promise<Event> {
  const { eventId: id } = created;
  const { event } = await orUnavailable(gateway.eventStore.getEvent({ eventId: id, after }, { timeoutMs: TIMEOUTS_MS.read }));
  if (!event) throw unknown();
  const reused = reuseOf(created, event.requestSha256);
  if (reused) throw reused;
  return event;
}

/** Of many keyed submissions those whose keys name events that were made of other requests, by id. Refusals: VIEW_UNAVAILABLE. */
export async function reusedKeys(
  gateway: Gateway,
  keyed: readonly EventToAccept[],
  after: LogPosition[],
): Promise<ReadonlyMap<string, Refusal>> {
  const reused = new Map<string, Refusal>();
  if (keyed.length === 0) return reused;
  const ids = keyed.map(({ eventId }) => eventId);
  const { digests } = await orUnavailable(gateway.eventStore.getRequestDigests({ eventIds: ids, after }, { timeoutMs: TIMEOUTS_MS.read }));
  const known = new Map(digests.map(({ eventId: id, requestSha256 }) => [id, requestSha256]));
  for (const created of keyed) {
    const accepted = known.get(created.eventId);
    if (accepted === undefined) throw unknown();
    const refusal = reuseOf(created, accepted);
    if (refusal) reused.set(created.eventId, refusal);
  }
  return reused;
}

/** The refusal of a submission whose event has another digest. One that was accepted by an earlier release has none: it is taken for the same. */
export function reuseOf({ eventId, accepted }: EventToAccept, acceptedSha256: string | undefined): Refusal | undefined {
  const own = accepted?.requestSha256;
  if (own === undefined || !acceptedSha256 || own === acceptedSha256) return undefined;
  return refuse('IDEMPOTENCY_KEY_REUSED', { event_id: eventId, request_sha256: own, accepted_sha256: acceptedSha256 });
}

/** Turns failures of a read into VIEW_UNAVAILABLE: the event may have been accepted, and the same request with its key finds out. */
async function orUnavailable<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (isRefusal(error) && error.reason !== 'EVENT_NOT_FOUND' && error.reason !== 'DEADLINE_EXCEEDED') throw error;
    throw unknown(error);
  }
}

function unknown(cause?: unknown): Refusal {
  const detail = 'whose event the idempotency key names is not known yet';
  return new Refusal('VIEW_UNAVAILABLE', { detail }, { cause });
}
