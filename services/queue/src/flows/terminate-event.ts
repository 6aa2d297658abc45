import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import {
  TerminateEventRequest_Wait as Wait,
  type TerminateEventRequest,
  type TerminateEventResponse,
} from '@evenfall/contracts/queue/v1/queue_service';
import { isFinal } from '@evenfall/event-model';
import { refuse } from '@evenfall/errors';
import { delay } from '@evenfall/time';
import type { Entry, Waiter } from '../domain/book.ts';
import type { QueuePorts } from '../ports.ts';
import { eventOf, type Owner } from './owner.ts';
import type { Writer } from './writer.ts';

/** How long a call that waits for the signal waits at most; the intent is recorded all the same. */
const DELIVERED_WITHIN_MS = 60_000;
const ENDED_WITHIN_MS = 15 * 60_000;
/** How long an open event may take to turn up with its owner: a recovery is going on. */
const FOUND_WITHIN_MS = 10_000;

type Ports = { readonly queue: QueuePorts; readonly owner: Owner; readonly writer: Writer };

/** Records the intent, has it carried out, and waits as asked. */
export async function terminateEvent(ports: Ports, request: TerminateEventRequest, signal: AbortSignal): Promise<TerminateEventResponse> {
  const { owner, writer } = ports;
  const entry = await findEntry(ports, request.eventId, signal);
  const refusal = owner.command(entry, 0, {
    kind: 'TERMINATE',
    dispatched: entry.dispatched > 0,
    request: { cause: Cause.USER, mode: request.mode, policy: request.policy, requester: request.requester, reason: request.reason },
  });
  if (refusal) throw refusal;
  const until = request.wait === Wait.ENDED || request.mode === Mode.FORCE ? 'ENDED' : 'DELIVERED';
  if (isFinal(eventOf(entry).state)) entry.ready = false;
  await wait(entry, until, request.wait === Wait.ENDED ? ENDED_WITHIN_MS : DELIVERED_WITHIN_MS, signal);
  return { positions: [{ partition: entry.partition, endOffset: BigInt(writer.endOffset(entry.partition)) }] };
}

/** The entry of an open event; an event nobody holds has ended, is unknown, or is just being taken over. */
async function findEntry({ queue, owner }: Ports, id: string, signal: AbortSignal): Promise<Entry> {
  const untilMs = queue.clock.monotonic() + FOUND_WITHIN_MS;
  for (;;) {
    const entry = owner.book.get(id);
    if (entry) return entry;
    const event = await queue.view.get(id);
    if (!event) throw refuse('EVENT_NOT_FOUND', { event_id: id });
    if (isFinal(event.state)) throw refuse('EVENT_ENDED', { event_id: id, state: stateNames[event.state] ?? '' });
    if (queue.clock.monotonic() > untilMs || !(await delay(10, signal)))
      throw refuse('SERVICE_UNAVAILABLE', { detail: 'the event has no owner yet' });
  }
}

const stateNames: Readonly<Record<number, string>> = { 4: 'SUCCEEDED', 5: 'FAILED', 6: 'TERMINATED', 7: 'EXPIRED' };

function wait(entry: Entry, until: Waiter['until'], withinMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      entry.waiters = entry.waiters?.filter((one) => one !== waiter);
      resolve();
    };
    const waiter: Waiter = { until, resolve: done };
    const timer = setTimeout(done, withinMs);
    timer.unref(); // a caller that waits does not keep a process alive
    signal.addEventListener('abort', done, { once: true });
    (entry.waiters ??= []).push(waiter);
  });
}
