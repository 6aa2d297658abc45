import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { type Clock, type DueQueue, dueQueue } from '@evenfall/time';
import type { Lanes } from '../domain/lanes.ts';
import type { Book, QueuedEvent, WaitTimes } from '../domain/types.ts';

/** The open events of one partition: by id in the book, in their lanes, and the delayed ones by when they are due. */
export type OpenEvents = {
  readonly book: Book;
  readonly lanes: Lanes;
  /** Adds an open event; undefined if it is there already. It is not dispatched before `settle`. */
  admit(folded: FoldedEvent, waiting: WaitTimes, mayBeDispatched: boolean): QueuedEvent | undefined;
  /** Puts a waiting entry where it belongs: into its lane, at the head if it comes back there, or due later. Leaves others as they are. */
  settle(queued: QueuedEvent, atHead?: boolean): void;
  /** Puts delayed events whose time has come into their lanes. */
  moveDue(): void;
  /** Removes an entry that has ended, or whose partition has another owner. */
  forget(queued: QueuedEvent): void;
  /** Removes everything, parked events too, and abandons the calls that wait; answers how many events that were. */
  clear(): number;
  /** Whether an entry is still there. */
  has(queued: QueuedEvent): boolean;
  /** Milliseconds since its accept, by the monotonic clock. */
  agedMs(queued: QueuedEvent): number;
};

export function createOpenEvents(clock: Clock, lanes: Lanes, partition: number): OpenEvents {
  const book: Book = new Map();
  const due: DueQueue<QueuedEvent> = dueQueue();
  const settle = (queued: QueuedEvent, atHead = false): void => {
    const event = eventOf(queued);
    if (event.state !== State.QUEUED || queued.dispatched > 0 || queued.ready) return;
    lanes.countWaiting(queued);
    if (event.nextAttemptTime && queued.dueMs > clock.monotonic()) due.push(queued.dueMs, queued);
    else lanes.markReady(queued, atHead);
  };
  const has = (queued: QueuedEvent): boolean => book.get(queued.id) === queued;
  const forget = (queued: QueuedEvent): void => {
    if (!has(queued)) return;
    book.delete(queued.id);
    lanes.leave(queued);
  };
  return {
    book,
    lanes,
    settle,
    has,
    admit(folded, { acceptedMs, dueMs }, mayBeDispatched) {
      const { event } = folded;
      if (!event || book.has(event.id)) return undefined;
      const queued: QueuedEvent = {
        id: event.id,
        partition,
        lane: lanes.get(event),
        folded,
        acceptedMs,
        dueMs,
        ready: false,
        readyBytes: 0,
        dispatched: 0,
        mayBeDispatched,
        counted: false,
        waiters: undefined,
      };
      book.set(event.id, queued);
      lanes.join(queued);
      return queued;
    },
    moveDue() {
      for (const queued of due.dequeueDue(clock.monotonic())) if (has(queued)) settle(queued);
    },
    forget,
    clear() {
      const count = book.size + lanes.parkedCount;
      for (const queued of [...book.values()]) {
        forget(queued);
        for (const waiter of queued.waiters ?? []) waiter.abandon();
      }
      for (const lane of [...lanes.withParked()]) {
        lanes.unparkAll(lane);
        lanes.dropIfEmpty(lane);
      }
      return count;
    },
    agedMs: (queued) => clock.monotonic() - queued.acceptedMs,
  };
}

/** The public part of an entry; every entry was admitted with one. */
export function eventOf(queued: QueuedEvent): Event {
  return queued.folded.event as Event;
}
