import type {
  DeadLetter,
  ListDeadLettersRequest,
  ListDeadLettersResponse,
  PurgeDeadLetterRequest,
  PurgeDeadLetterResponse,
  RedriveDeadLetterRequest,
  RedriveDeadLetterResponse,
} from '@evenfall/contracts/v1/event_service';
import type { Event } from '@evenfall/contracts/v1/event';
import { isRefusal, orThrow, refuse } from '@evenfall/errors';
import { eventPolicyOf, functionNameRefusal, PAGE_SIZES } from '@evenfall/function-model';
import { durationOfMs, uuidOfName } from '@evenfall/time';
import { pageSizeOf } from '@evenfall/paging';
import { eventIdOf } from '../domain/fields.ts';
import { eventToAccept } from '../domain/submission.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Caller, Gateway } from '../ports.ts';
import { getEvent } from './get-event.ts';
import { keyedEvent } from './read-back.ts';
import { runnableFunction } from './resolve.ts';

/** Lists dead letters of one function. One that does not exist (any more) may still have some. */
export async function listDeadLetters(gateway: Gateway, request: ListDeadLettersRequest): Promise<ListDeadLettersResponse> {
  orThrow(functionNameRefusal(request.namespace, request.function));
  const pageSize = pageSizeOf(request.pageSize, PAGE_SIZES.deadLetters);
  return gateway.eventStore.listDeadLetters({ ...request, pageSize }, { timeoutMs: TIMEOUTS_MS.read });
}

/** Gets one dead letter. */
export async function getDeadLetter(
  gateway: Gateway,
  id: string,
): Promise<DeadLetter & { readonly event: NonNullable<DeadLetter['event']> }> {
  const known = orThrow(eventIdOf(id));
  const { deadLetter } = await gateway.eventStore.getDeadLetter({ id: known }, { timeoutMs: TIMEOUTS_MS.read });
  if (!deadLetter?.event) throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: known });
  return { ...deadLetter, event: deadLetter.event };
}

/**
 * Accepts a new event with the payload of a dead letter, by what its qualifier names now. The record that accepts it is also the end of the
 * dead letter, so that there is never both, or neither. Its id follows from the old one: two who redrive at once make one event, and who redrives
 * again is answered that one.
 */
export async function redriveDeadLetter(
  gateway: Gateway,
  caller: Caller,
  request: RedriveDeadLetterRequest,
): Promise<RedriveDeadLetterResponse> {
  const found = await findDeadLetter(gateway, request.id);
  if (!found) return { event: await redrivenEvent(gateway, request.id) };
  const { event, payload } = found;
  const { namespace, function: name, qualifier, trigger } = event;
  const { fn, qualifier: resolved } = await runnableFunction(gateway, { namespace, function: name, qualifier });
  const submission = { payload, idempotencyKey: '', delay: durationOfMs(0) };
  const maxPayloadBytes = Math.max(gateway.limits.maxPayloadBytes, payload.length); // it was accepted once, whatever the limit is now
  const context = { fn, qualifier: resolved, policy: eventPolicyOf(fn), traceparent: caller.traceparent, maxPayloadBytes };
  const made = orThrow(eventToAccept(submission, context));
  const created = {
    ...made,
    eventId: redrivenId(event),
    accepted: made.accepted && { ...made.accepted, trigger, keyed: true, redrivenFrom: event.id },
  };
  const { positions } = await gateway.queue.acceptEvents({ events: [created] }, { timeoutMs: TIMEOUTS_MS.accept });
  return { event: await keyedEvent(gateway, created, positions) };
}

async function findDeadLetter(gateway: Gateway, id: string): Promise<Awaited<ReturnType<typeof getDeadLetter>> | undefined> {
  try {
    return await getDeadLetter(gateway, id);
  } catch (error) {
    if (isRefusal(error) && error.reason === 'DEAD_LETTER_NOT_FOUND') return undefined;
    throw error;
  }
}

/** The event that was made of a dead letter before; throws DEAD_LETTER_NOT_FOUND if none was. */
async function redrivenEvent(gateway: Gateway, id: string): Promise<Event> {
  try {
    const made = await getEvent(gateway, redrivenId(await getEvent(gateway, id)));
    if (made.redrivenFrom === orThrow(eventIdOf(id))) return made;
  } catch (error) {
    if (!isRefusal(error) || error.reason !== 'EVENT_NOT_FOUND') throw error;
  }
  throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: orThrow(eventIdOf(id)) });
}

function redrivenId({ namespace, function: name, id }: Event): string {
  return uuidOfName(namespace, name, 'redriven', id);
}

/** Throws a dead letter away; no read shows it any more when this answers. */
export async function purgeDeadLetter(gateway: Gateway, request: PurgeDeadLetterRequest): Promise<PurgeDeadLetterResponse> {
  const { event } = await getDeadLetter(gateway, request.id);
  const { id: eventId, namespace, function: name, trigger } = event;
  await gateway.queue.purgeDeadLetter({ eventId, namespace, function: name, trigger }, { timeoutMs: TIMEOUTS_MS.accept });
  return {};
}
