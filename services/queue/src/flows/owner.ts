import { type Command, decide, evolve } from '@evenfall/event-model';
import type { Event } from '@evenfall/contracts/v1/event';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { isRefusal, type Refusal, refuse } from '@evenfall/errors';
import { type DueQueue, dueQueue } from '@evenfall/time';
import type { Book, Entry } from '../domain/book.ts';
import { createLanes, type Lanes } from '../domain/lanes.ts';
import { recordOf } from '../domain/record.ts';
import { type Waiting, waitingOfKnown, waitingOfNew } from '../domain/waiting.ts';
import type { QueuePorts } from '../ports.ts';
import type { Ownership } from './ownership.ts';
import type { Writer } from './writer.ts';

/**
 * The owner of partitions: holds their open events, decides what becomes of them, and keeps their lanes. What it decides it believes at
 * once and tells nobody before it counts (see `writer`). It waits for nothing itself.
 */
export type Owner = {
  readonly book: Book;
  readonly lanes: Lanes;
  /** Takes an open event in: a new one, or one a former owner may have dispatched already. It is not dispatched before `settle`. */
  admit(stored: StoredEvent, partition: number, perhapsGiven: boolean, waiting?: Waiting): Entry | undefined;
  /** Milliseconds since its accept, by a clock that nobody sets. */
  agedMs(entry: Entry): number;
  /** Finds an entry its place: ready, at the head of its lane if it comes back there, or due later. Running ones are left to the dispatcher. */
  settle(entry: Entry, atHead?: boolean): void;
  /** Carries out a command; answers the refusal if it was one. */
  command(entry: Entry, attempt: number, command: Command): Refusal | undefined;
  /** Lets everything whose time has come move, and answers when to look again. */
  moveDue(): number | undefined;
  forget(entry: Entry): void;
};

export function createOwner(ports: QueuePorts, ownership: Ownership, writer: Writer): Owner {
  const book: Book = new Map();
  const lanes = createLanes();
  const due: DueQueue<Entry> = dueQueue();

  const forget = (entry: Entry): void => {
    uncount(entry);
    lanes.unready(entry);
    lanes.left(entry);
    if (book.get(entry.id) !== entry) return;
    book.delete(entry.id);
    entry.lane.members--;
    lanes.dropIfEmpty(entry.lane);
  };
  const settle = (entry: Entry, atHead = false): void => {
    const event = eventOf(entry);
    if (event.state !== 1 || entry.dispatched > 0 || entry.ready) return; // 1: QUEUED
    count(entry);
    if (event.nextAttemptTime && entry.dueMs > ports.clock.monotonic()) return due.push(entry.dueMs, entry);
    lanes.ready(entry, atHead);
  };

  const agedMs = (entry: Entry): number => ports.clock.monotonic() - entry.acceptedMs;

  return {
    book,
    lanes,
    forget,
    settle,
    agedMs,
    admit(stored, partition, perhapsGiven, waiting) {
      const { event } = stored;
      if (!event || book.has(event.id)) return undefined;
      const lane = lanes.get(event, partition);
      const entry: Entry = {
        id: event.id,
        partition,
        lane,
        stored,
        ...(waiting ??
          (perhapsGiven ? waitingOfKnown(stored, ports.clock, ownership.tenureOf(partition)) : waitingOfNew(stored, ports.clock))),
        ready: false,
        readyBytes: 0,
        dispatched: 0,
        perhapsGiven,
        counted: false,
        waiters: undefined,
      };
      book.set(event.id, entry);
      lane.members++;
      return entry;
    },
    command(entry, attempt, command) {
      const writerId = ownership.tenureOf(entry.partition)?.writerId;
      if (writerId === undefined) return refuse('EVENT_NOT_HELD', { event_id: entry.id });
      const nowMs = ports.clock.now();
      const changes = decide(entry.stored, command, nowMs, agedMs(entry));
      if (isRefusal(changes)) return changes;
      for (const change of changes) {
        const record = recordOf(entry.id, attempt, change, nowMs, writerId);
        entry.stored = evolve(entry.stored, record) ?? entry.stored;
        if (change.$case === 'attemptConcluded' && change.value.retryTime)
          entry.dueMs = ports.clock.monotonic() + change.value.retryTime.getTime() - nowMs;
        writer.add(entry, record);
      }
      const { state } = eventOf(entry);
      if (state !== 1) uncount(entry);
      return undefined;
    },
    moveDue() {
      for (const entry of due.takeDue(ports.clock.monotonic())) if (book.get(entry.id) === entry) settle(entry);
      return due.nextDueMs();
    },
  };
}

/** The public part of an entry; every entry was admitted with one. */
export function eventOf(entry: Entry): Event {
  return entry.stored.event as Event;
}

function count(entry: Entry): void {
  if (entry.counted) return;
  entry.counted = true;
  entry.lane.waiting++;
}

function uncount(entry: Entry): void {
  if (!entry.counted) return;
  entry.counted = false;
  entry.lane.waiting--;
}
