import { evolve, isFinal, mayBeKnown } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { Event_State as State, type Event } from '@evenfall/contracts/v1/event';
import { delay } from '@evenfall/time';
import type { Entry } from '../domain/book.ts';
import { LANE_WINDOW } from '../domain/lanes.ts';
import { waitingOfKnown, waitingOfNew } from '../domain/waiting.ts';
import type { QueuedEvent, QueuePorts } from '../ports.ts';
import type { Dispatcher } from './dispatcher.ts';
import type { Owner } from './owner.ts';
import type { Ownership } from './ownership.ts';

/** Counts what comes in: each event once, however often it was asked for. */
export type Tally = {
  /** A new event. */
  accepted(): void;
  /** Open events of a former owner, of oneself before a restart; negative when they go to somebody else, or had ended. */
  takenOver(count: number): void;
};

/** Takes events in: those that were open when a tenure began, and those that are accepted from then on. */
export type Intake = {
  /** An event that was open when the tenure began. */
  recover(event: QueuedEvent, partition: number): void;
  /** An Accepted record, whoever wrote it. */
  accept(record: EventRecord, partition: number, offset: number, appendTimeMs: number | undefined): void;
};

type Ports = { readonly queue: QueuePorts; readonly ownership: Ownership; readonly owner: Owner; readonly dispatcher: Dispatcher };

const AGAIN_MS = 500;
const never = new AbortController().signal;

export function createIntake({ queue, ownership, owner, dispatcher }: Ports, tally: Tally): Intake {
  /** A key names the same event for as long as its status is kept: it may have ended long ago. While nobody can say, it waits. */
  const verify = async (entry: Entry, endOffset: number): Promise<void> => {
    const isHeld = (): boolean => owner.book.get(entry.id) === entry;
    let event: Event | undefined;
    for (let answered = false; !answered && isHeld();) {
      try {
        event = await queue.view.get(entry.id, { partition: entry.partition, endOffset });
        answered = true;
      } catch (error) {
        queue.log.warn('could not look up a keyed event; asking again', { event_id: entry.id, error: String(error) });
        await delay(AGAIN_MS, never);
      }
    }
    if (!isHeld()) return;
    if (event && isFinal(event.state)) {
      owner.forget(entry);
      return;
    }
    tally.accepted();
    owner.settle(entry);
    dispatcher.pump();
  };
  /** Keeps a waiting event out of memory when its lane has enough there. Delayed and retrying ones stay: they are not in the lane's order. */
  const park = (stored: StoredEvent, partition: number, offset: number, isNew: boolean): boolean => {
    const { event, policy } = stored;
    if (!event || event.state !== State.QUEUED || event.nextAttemptTime || event.attempts.length > 0) return false;
    const lane = owner.lanes.get(event, partition);
    if (owner.lanes.hasRoom(lane)) return false;
    const begun = ownership.tenureOf(partition);
    const { acceptedMs } = isNew ? waitingOfNew(stored, queue.clock) : waitingOfKnown(stored, queue.clock, begun);
    owner.lanes.park(lane, offset, acceptedMs + (policy?.maxEventAgeMs ?? 0), isNew ? acceptedMs : undefined);
    return true;
  };

  return {
    recover({ stored, acceptOffset }, partition) {
      if (!stored.event) return;
      // The first of a lane may be on their way already: what is reported of them must find them, whatever room they take.
      const mayBeSent = owner.lanes.get(stored.event, partition).readyCount < LANE_WINDOW;
      const entry = !mayBeSent && park(stored, partition, acceptOffset, false) ? undefined : owner.admit(stored, partition, true);
      if (entry) {
        entry.lane.pausedUntilMs = Infinity; // it takes its place; nothing of it goes before the tenure is known to all
        owner.settle(entry);
      }
      tally.takenOver(1); // counted last: the balance is drawn when it is
    },
    accept(record, partition, offset, appendTimeMs) {
      if (record.change?.$case !== 'accepted' || owner.book.has(record.eventId)) return;
      const stored = evolve(undefined, record);
      if (!stored) return;
      if (park(stored, partition, offset, true)) {
        tally.accepted();
        return;
      }
      const entry = owner.admit(stored, partition, false);
      if (!entry) return;
      if (mayBeKnown(record, appendTimeMs)) void verify(entry, offset + 1);
      else {
        tally.accepted();
        owner.settle(entry);
      }
    },
  };
}
