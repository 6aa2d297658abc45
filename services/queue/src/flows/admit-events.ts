import { evolve, isFinal, mayBeRepeated } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { Event_State as State, type Event } from '@evenfall/contracts/v1/event';
import { delay } from '@evenfall/time';
import { LANE_WINDOW } from '../domain/lanes.ts';
import type { QueuedEvent, WaitTimes } from '../domain/types.ts';
import { waitingOfKnown, waitingOfNew } from '../domain/waiting.ts';
import type { OpenEvent, QueuePorts } from '../ports.ts';
import type { Counters } from './counters.ts';
import type { PartitionOwner } from './partition-owner.ts';

export type AdmitParts = { readonly queue: QueuePorts; readonly counters: Counters };

const RETRY_MS = 500;
const never = new AbortController().signal;

/** Admits an event that was open when the tenure began. It takes its place in its lane, which pauses until the partition is active. */
export function recoverEvent({ queue, counters }: AdmitParts, owner: PartitionOwner, { folded, acceptOffset }: OpenEvent): void {
  if (!folded.event) return;
  const { events } = owner;
  const waiting = waitingOfKnown(folded, queue.clock, owner.tenure);
  counters.taken_over++;
  // The first of a lane may have been dispatched: a report must find them, whatever memory they take.
  const mayBeDispatched = events.lanes.get(folded.event).readyCount < LANE_WINDOW;
  if (!mayBeDispatched && park(owner, folded, acceptOffset, waiting, undefined)) return;
  const queued = events.admit(folded, waiting, true);
  if (!queued) return;
  events.lanes.pause(queued.lane, Infinity);
  events.settle(queued);
}

/**
 * Admits the event of an Accepted record, whichever replica wrote it, unless it is there already. Answers a promise if the event may have ended before, and has to be
 * looked up first.
 */
export function admitAccepted(
  { queue, counters }: AdmitParts,
  owner: PartitionOwner,
  record: EventRecord,
  offset: number,
  appendTimeMs: number | undefined,
): Promise<void> | undefined {
  const { events } = owner;
  if (record.change?.$case !== 'accepted' || events.book.has(record.eventId)) return undefined;
  const folded = evolve(undefined, record);
  if (!folded) return undefined;
  const waiting = waitingOfNew(folded, queue.clock);
  if (park(owner, folded, offset, waiting, waiting.acceptedMs)) {
    counters.accepted_total++;
    return undefined;
  }
  const queued = events.admit(folded, waiting, false);
  if (!queued) return undefined;
  if (mayBeRepeated(record, appendTimeMs)) return verify({ queue, counters }, owner, queued, offset + 1);
  counters.accepted_total++;
  events.settle(queued);
  return undefined;
}

/** A key identifies the same event for as long as its status is retained: it may have ended long ago. While the view cannot be read, it waits. */
async function verify({ queue, counters }: AdmitParts, { events }: PartitionOwner, queued: QueuedEvent, endOffset: number): Promise<void> {
  let event: Event | undefined;
  for (let isAnswered = false; !isAnswered && events.has(queued);) {
    try {
      event = await queue.view.get(queued.id, { partition: queued.partition, endOffset });
      isAnswered = true;
    } catch (error) {
      queue.log.warn('could not look up a keyed event; trying again', { event_id: queued.id, error: String(error) });
      await delay(RETRY_MS, never);
    }
  }
  if (!events.has(queued)) return;
  if (event && isFinal(event.state)) {
    events.forget(queued);
    return;
  }
  counters.accepted_total++;
  events.settle(queued);
}

/** Keeps a waiting event out of memory when its lane has enough there. Delayed and retrying ones stay: they are not in the lane's order. */
function park(
  { events }: PartitionOwner,
  folded: FoldedEvent,
  offset: number,
  waiting: WaitTimes,
  acceptedMs: number | undefined,
): boolean {
  const { event, policy } = folded;
  if (!event || event.state !== State.QUEUED || event.nextAttemptTime || event.attempts.length > 0) return false;
  const lane = events.lanes.get(event);
  if (events.lanes.hasRoom(lane)) return false;
  const expiresMs = waiting.acceptedMs + (policy?.maxEventAgeMs ?? 0);
  events.lanes.park(lane, { acceptOffset: offset, expiresMs, accessKeyId: folded.accessKeyId, acceptedMs });
  return true;
}
