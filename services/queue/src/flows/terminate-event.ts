import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import {
  TerminateEventRequest_Wait as Wait,
  type TerminateEventRequest,
  type TerminateEventResponse,
} from '@evenfall/contracts/queue/v1/queue_service';
import type { Event } from '@evenfall/contracts/v1/event';
import { laneKey, partitionOfLane } from '@evenfall/event-log';
import { isFinal } from '@evenfall/event-model';
import { refuse } from '@evenfall/errors';
import { delay } from '@evenfall/time';
import type { Entry, Waiter } from '../domain/book.ts';
import type { QueuePorts } from '../ports.ts';
import { eventOf, type Owner } from './owner.ts';
import { takeParked } from './parking.ts';
import type { Ownership } from './ownership.ts';
import type { Writer } from './writer.ts';

/** How long a call that waits for the signal waits at most; the intent is recorded all the same. */
const DELIVERED_WITHIN_MS = 60_000;
const ENDED_WITHIN_MS = 15 * 60_000;
/** How long an open event may take to turn up with its owner: a recovery is going on. */
const FOUND_WITHIN_MS = 10_000;

type Ports = { readonly queue: QueuePorts; readonly ownership: Ownership; readonly owner: Owner; readonly writer: Writer };

/** Records the intent, has it carried out, and waits as asked. */
export async function terminateEvent(ports: Ports, request: TerminateEventRequest, signal: AbortSignal): Promise<TerminateEventResponse> {
  const { ownership, owner, writer } = ports;
  const entry = await findEntry(ports, request, signal);
  const refusal = owner.command(entry, 0, {
    kind: 'TERMINATE',
    dispatched: entry.dispatched > 0 || !ownership.isConfirmed(entry.partition),
    request: {
      cause: Cause.USER,
      mode: request.mode,
      policy: request.policy,
      requester: request.requester,
      reason: request.reason,
      audit: request.audit && { ...request.audit, namespace: eventOf(entry).namespace, subject: entry.id },
    },
  });
  if (refusal) throw refusal;
  const until = request.wait === Wait.ENDED || request.mode === Mode.FORCE ? 'ENDED' : 'DELIVERED';
  if (isFinal(eventOf(entry).state)) owner.lanes.unready(entry);
  await wait(entry, until, request.wait === Wait.ENDED ? ENDED_WITHIN_MS : DELIVERED_WITHIN_MS, signal);
  return { positions: [{ partition: entry.partition, endOffset: BigInt(writer.endOffset(entry.partition)) }] };
}

/** The entry of an open event; an event this replica does not hold is another's, has ended, is unknown, or is just being taken over. */
async function findEntry(ports: Ports, { eventId: id, onlyIfHeld }: TerminateEventRequest, signal: AbortSignal): Promise<Entry> {
  const { queue, ownership, owner } = ports;
  const untilMs = queue.clock.monotonic() + FOUND_WITHIN_MS;
  for (;;) {
    const entry = owner.book.get(id);
    if (entry && ownership.isLive(entry.partition)) return entry;
    if (onlyIfHeld) throw refuse('EVENT_NOT_HELD', { event_id: id });
    const event = await queue.view.get(id);
    if (!event) throw refuse('EVENT_NOT_FOUND', { event_id: id });
    if (isFinal(event.state)) throw refuse('EVENT_ENDED', { event_id: id, state: stateNames[event.state] ?? '' });
    if (await isUnparked(ports, event, id)) continue;
    const partition = partitionOfLane(laneKey(event.namespace, event.function, event.trigger), queue.eventLog.partitionCount);
    const isComing = ownership.tenureOf(partition) !== undefined && queue.clock.monotonic() < untilMs;
    if (!isComing || !(await delay(10, signal))) throw refuse('EVENT_NOT_HELD', { event_id: id });
  }
}

/** Takes the event out of what its lane has parked, if it is there. */
async function isUnparked(ports: Ports, { namespace, function: fn, trigger }: Event, id: string): Promise<boolean> {
  const key = laneKey(namespace, fn, trigger);
  for (const lane of ports.owner.lanes.withParked()) if (lane.key === key) return takeParked(ports, lane, id);
  return false;
}

const stateNames: Readonly<Record<number, string>> = { 4: 'SUCCEEDED', 5: 'FAILED', 6: 'TERMINATED', 7: 'EXPIRED' };

function wait(entry: Entry, until: Waiter['until'], withinMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      entry.waiters = entry.waiters?.filter((one) => one !== waiter);
    };
    const done = (): void => {
      leave();
      resolve();
    };
    const abandon = (): void => {
      leave();
      reject(refuse('EVENT_NOT_HELD', { event_id: entry.id }));
    };
    const waiter: Waiter = { until, resolve: done, abandon };
    const timer = setTimeout(done, withinMs);
    timer.unref(); // a caller that waits does not keep a process alive
    signal.addEventListener('abort', done, { once: true });
    (entry.waiters ??= []).push(waiter);
  });
}
