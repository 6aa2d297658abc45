import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { type Clock, type DueQueue, dueQueue } from '@evenfall/time';
import type { Lanes } from '../domain/lanes.ts';
import type { Book, Entry, WaitTimes } from '../domain/types.ts';

/** The open events of one partition: by id in the book, in their lanes, and the delayed ones by when they are due. */
export type OpenEvents = {
  readonly book: Book;
  readonly lanes: Lanes;
  /** Adds an open event; undefined if it is there already. It is not dispatched before `settle`. */
  admit(stored: FoldedEvent, waiting: WaitTimes, mayBeDispatched: boolean): Entry | undefined;
  /** Puts a waiting entry where it belongs: into its lane, at the head if it comes back there, or due later. Leaves others as they are. */
  settle(entry: Entry, atHead?: boolean): void;
  /** Puts delayed events whose time has come into their lanes. */
  moveDue(): void;
  /** Removes an entry that has ended, or whose partition has another owner. */
  forget(entry: Entry): void;
  /** Removes everything, parked events too, and abandons the calls that wait; answers how many events that were. */
  clear(): number;
  /** Whether an entry is still there. */
  has(entry: Entry): boolean;
  /** Milliseconds since its accept, by the monotonic clock. */
  agedMs(entry: Entry): number;
};

export function createOpenEvents(clock: Clock, lanes: Lanes, partition: number): OpenEvents {
  const book: Book = new Map();
  const due: DueQueue<Entry> = dueQueue();
  const settle = (entry: Entry, atHead = false): void => {
    const event = eventOf(entry);
    if (event.state !== State.QUEUED || entry.dispatched > 0 || entry.ready) return;
    lanes.countWaiting(entry);
    if (event.nextAttemptTime && entry.dueMs > clock.monotonic()) due.push(entry.dueMs, entry);
    else lanes.markReady(entry, atHead);
  };
  const has = (entry: Entry): boolean => book.get(entry.id) === entry;
  const forget = (entry: Entry): void => {
    if (!has(entry)) return;
    book.delete(entry.id);
    lanes.leave(entry);
  };
  return {
    book,
    lanes,
    settle,
    has,
    admit(stored, { acceptedMs, dueMs }, mayBeDispatched) {
      const { event } = stored;
      if (!event || book.has(event.id)) return undefined;
      const entry: Entry = {
        id: event.id,
        partition,
        lane: lanes.get(event),
        stored,
        acceptedMs,
        dueMs,
        ready: false,
        readyBytes: 0,
        dispatched: 0,
        mayBeDispatched,
        counted: false,
        waiters: undefined,
      };
      book.set(event.id, entry);
      lanes.join(entry);
      return entry;
    },
    moveDue() {
      for (const entry of due.takeDue(clock.monotonic())) if (has(entry)) settle(entry);
    },
    forget,
    clear() {
      const count = book.size + lanes.parkedCount;
      for (const entry of [...book.values()]) {
        forget(entry);
        for (const waiter of entry.waiters ?? []) waiter.abandon();
      }
      for (const lane of [...lanes.withParked()]) {
        lanes.unparkAll(lane);
        lanes.dropIfEmpty(lane);
      }
      return count;
    },
    agedMs: (entry) => clock.monotonic() - entry.acceptedMs,
  };
}

/** The public part of an entry; every entry was admitted with one. */
export function eventOf(entry: Entry): Event {
  return entry.stored.event as Event;
}
