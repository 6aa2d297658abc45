import type { EventToAccept } from '@evenfall/contracts/queue/v1/queue_service';
import { type Event, Event_State } from '@evenfall/contracts/v1/event';
import { orThrow } from '@evenfall/errors';
import { type CreateEventRequest, type CreateEventResponse, EventSubmission } from '@evenfall/contracts/v1/event_service';
import { eventPolicyOf } from '@evenfall/function-model';
import { msOfDuration } from '@evenfall/time';
import { eventToAccept } from '../domain/submission.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Caller, Gateway } from '../ports.ts';
import { keyedEvent } from './read-back.ts';
import { runnableFunction } from './resolve.ts';

/**
 * Accepts one event: it is answered once the log has it, and shown as accepted without being read back. With a key it is: the key may name an event that
 * was there before.
 */
export async function createEvent(gateway: Gateway, caller: Caller, request: CreateEventRequest): Promise<CreateEventResponse> {
  const { fn, qualifier } = await runnableFunction(gateway, request);
  const { maxPayloadBytes } = gateway.limits;
  const context = { fn, qualifier, policy: eventPolicyOf(fn), traceparent: caller.traceparent, maxPayloadBytes };
  const created = orThrow(eventToAccept(request.submission ?? EventSubmission.create(), context));
  const acceptedMs = gateway.clock.now();
  // Not cancelled with its caller: it would be unknown whether an append that was under way is durable.
  const { positions } = await gateway.queue.acceptEvents({ events: [created] }, { timeoutMs: TIMEOUTS_MS.accept });
  if (created.accepted?.keyed) return { event: await keyedEvent(gateway, created, positions) };
  return { event: queuedEvent(created, acceptedMs) };
}

/** The event right after it was accepted. */
export function queuedEvent({ eventId, delay, accepted }: EventToAccept, acceptedMs: number): Event {
  const delayMs = msOfDuration(delay);
  return {
    id: eventId,
    namespace: accepted?.namespace ?? '',
    function: accepted?.function ?? '',
    qualifier: accepted?.qualifier ?? '',
    version: accepted?.version ?? '',
    trigger: accepted?.trigger ?? '',
    state: Event_State.QUEUED,
    statusCode: 0,
    result: Buffer.alloc(0),
    error: Buffer.alloc(0),
    resultTruncated: false,
    createTime: new Date(acceptedMs),
    startTime: undefined,
    endTime: undefined,
    nextAttemptTime: delayMs === undefined ? undefined : new Date(acceptedMs + delayMs),
    attempts: [],
    termination: undefined,
    redrivenFrom: accepted?.redrivenFrom ?? '',
    deliveries: [],
    originEventId: '',
    requestSha256: accepted?.requestSha256,
  };
}
