import { evolve, isFinal, mayBeKnown } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { Event_State as State, type Event } from '@evenfall/contracts/v1/event';
import { delay } from '@evenfall/time';
import { LANE_WINDOW } from '../domain/lanes.ts';
import type { Entry, WaitTimes } from '../domain/types.ts';
import { waitingOfKnown, waitingOfNew } from '../domain/waiting.ts';
import type { QueuedEvent, QueuePorts } from '../ports.ts';
import type { Counters } from './counters.ts';
import type { PartitionOwner } from './partition-owner.ts';

export type AdmitParts = { readonly queue: QueuePorts; readonly counters: Counters };

const RETRY_MS = 500;
const never = new AbortController().signal;

/** Admits an event that was open when the tenure began. It takes its place in its lane, which pauses until the partition is active. */
export function recoverEvent({ queue, counters }: AdmitParts, owner: PartitionOwner, { stored, acceptOffset }: QueuedEvent): void {
  if (!stored.event) return;
  const { events } = owner;
  const waiting = waitingOfKnown(stored, queue.clock, owner.tenure);
  counters.taken_over++;
  // The first of a lane may have been dispatched: a report must find them, whatever memory they take.
  const mayBeDispatched = events.lanes.get(stored.event).readyCount < LANE_WINDOW;
  if (!mayBeDispatched && park(owner, stored, acceptOffset, waiting, undefined)) return;
  const entry = events.admit(stored, waiting, true);
  if (!entry) return;
  events.lanes.pause(entry.lane, Infinity);
  events.settle(entry);
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
  const stored = evolve(undefined, record);
  if (!stored) return undefined;
  const waiting = waitingOfNew(stored, queue.clock);
  if (park(owner, stored, offset, waiting, waiting.acceptedMs)) {
    counters.accepted_total++;
    return undefined;
  }
  const entry = events.admit(stored, waiting, false);
  if (!entry) return undefined;
  if (mayBeKnown(record, appendTimeMs)) return verify({ queue, counters }, owner, entry, offset + 1);
  counters.accepted_total++;
  events.settle(entry);
  return undefined;
}

/** A key identifies the same event for as long as its status is retained: it may have ended long ago. While the view cannot be read, it waits. */
async function verify({ queue, counters }: AdmitParts, { events }: PartitionOwner, entry: Entry, endOffset: number): Promise<void> {
  let event: Event | undefined;
  for (let isAnswered = false; !isAnswered && events.has(entry);) {
    try {
      event = await queue.view.get(entry.id, { partition: entry.partition, endOffset });
      isAnswered = true;
    } catch (error) {
      queue.log.warn('could not look up a keyed event; trying again', { event_id: entry.id, error: String(error) });
      await delay(RETRY_MS, never);
    }
  }
  if (!events.has(entry)) return;
  if (event && isFinal(event.state)) {
    events.forget(entry);
    return;
  }
  counters.accepted_total++;
  events.settle(entry);
}

/** Keeps a waiting event out of memory when its lane has enough there. Delayed and retrying ones stay: they are not in the lane's order. */
function park(
  { events }: PartitionOwner,
  stored: FoldedEvent,
  offset: number,
  waiting: WaitTimes,
  acceptedMs: number | undefined,
): boolean {
  const { event, policy } = stored;
  if (!event || event.state !== State.QUEUED || event.nextAttemptTime || event.attempts.length > 0) return false;
  const lane = events.lanes.get(event);
  if (events.lanes.hasRoom(lane)) return false;
  const expiresMs = waiting.acceptedMs + (policy?.maxEventAgeMs ?? 0);
  events.lanes.park(lane, { acceptOffset: offset, expiresMs, accessKeyId: stored.accessKeyId, acceptedMs });
  return true;
}
