import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import {
  TerminateEventRequest_Wait as Wait,
  type TerminateEventRequest,
  type TerminateEventResponse,
} from '@evenfall/contracts/queue/v1/queue_service';
import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { laneKey, partitionOfLane } from '@evenfall/event-log';
import { isFinal } from '@evenfall/event-model';
import { refuse } from '@evenfall/errors';
import { delay } from '@evenfall/time';
import type { QueuedEvent, Waiter } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';
import { eventOf } from './open-events.ts';
import { fetchParkedById } from './fetch-parked.ts';
import type { Partitions } from './partitions.ts';

/** How long a call that waits for the signal waits at most; the intent is recorded all the same. */
const DELIVERED_WITHIN_MS = 60_000;
const ENDED_WITHIN_MS = 15 * 60_000;
/** How long an open event may take to appear with its owner: a recovery is going on. */
const FOUND_WITHIN_MS = 10_000;

type Parts = { readonly queue: QueuePorts; readonly partitions: Partitions };

/** Records the intent, has it carried out, and waits as asked. */
export async function terminateEvent(parts: Parts, request: TerminateEventRequest, signal: AbortSignal): Promise<TerminateEventResponse> {
  const queued = await findQueued(parts, request, signal);
  const owner = parts.partitions.get(queued.partition);
  const refusal = owner.command(queued, 0, {
    kind: 'TERMINATE',
    dispatched: queued.dispatched > 0 || owner.mode !== 'CONFIRMED',
    request: {
      cause: Cause.USER,
      mode: request.mode,
      policy: request.policy,
      requester: request.requester,
      reason: request.reason,
      audit: request.audit && { ...request.audit, namespace: eventOf(queued).namespace, subject: queued.id },
    },
  });
  if (refusal) throw refusal;
  const until = request.wait === Wait.ENDED || request.mode === Mode.FORCE ? 'ENDED' : 'DELIVERED';
  if (isFinal(eventOf(queued).state)) owner.events.lanes.unmarkReady(queued);
  await wait(queued, until, request.wait === Wait.ENDED ? ENDED_WITHIN_MS : DELIVERED_WITHIN_MS, signal);
  return { positions: [{ partition: queued.partition, endOffset: BigInt(owner.writer?.endOffset ?? 0) }] };
}

/** The entry of an open event; an event this replica does not hold is another replica's, has ended, is unknown, or is just being recovered. */
async function findQueued(parts: Parts, { eventId: id, onlyIfHeld }: TerminateEventRequest, signal: AbortSignal): Promise<QueuedEvent> {
  const { queue, partitions } = parts;
  const untilMs = queue.clock.monotonic() + FOUND_WITHIN_MS;
  for (;;) {
    const queued = partitions.find(id);
    if (queued && partitions.isActive(queued.partition)) return queued;
    if (onlyIfHeld) throw refuse('EVENT_NOT_HELD', { event_id: id });
    const event = await queue.view.get(id);
    if (!event) throw refuse('EVENT_NOT_FOUND', { event_id: id });
    if (isFinal(event.state)) throw refuse('EVENT_ENDED', { event_id: id, state: stateName(event) });
    const key = laneKey(event.namespace, event.function, event.trigger);
    const owner = partitions.get(partitionOfLane(key, queue.eventLog.partitionCount));
    const lane = owner.events.lanes.find(key);
    if (lane && lane.parked.count > 0 && (await fetchParkedById(queue, owner, lane, id))) continue;
    const isComing = owner.tenure !== undefined && queue.clock.monotonic() < untilMs;
    if (!isComing || !(await delay(10, signal))) throw refuse('EVENT_NOT_HELD', { event_id: id });
  }
}

function stateName({ state }: Event): string {
  return Object.entries(State).find(([, value]) => value === state)?.[0] ?? '';
}

function wait(queued: QueuedEvent, until: Waiter['until'], withinMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      queued.waiters = queued.waiters?.filter((one) => one !== waiter);
    };
    const done = (): void => {
      leave();
      resolve();
    };
    const abandon = (): void => {
      leave();
      reject(refuse('EVENT_NOT_HELD', { event_id: queued.id }));
    };
    const waiter: Waiter = { until, resolve: done, abandon };
    const timer = setTimeout(done, withinMs);
    timer.unref(); // a caller that waits does not keep a process alive
    signal.addEventListener('abort', done, { once: true });
    (queued.waiters ??= []).push(waiter);
  });
}
