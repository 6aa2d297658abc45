import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { Entry } from './book.ts';
import type { Owed } from './deliveries.ts';

/** An open event, or an ended one whose destination is still to be told. */
export type Subject = Entry | Owed;

/** A record, and whom it is about. */
export type Outgoing = { readonly entry: Subject; readonly record: EventRecord };

/** Records on their way to the log, per partition. */
export type Outbox = {
  /** Adds a record. A start that is followed by its end before it was taken goes with it as one record. */
  add(entry: Subject, record: EventRecord): void;
  /** Takes everything that waits for a partition. */
  take(partition: number): Outgoing[];
  /** Partitions with something in them. */
  partitions(): number[];
  /** Whether anything but starts waits: a start alone may wait a little for its end. */
  readonly urgent: boolean;
  readonly size: number;
};

export function createOutbox(): Outbox {
  const waiting = new Map<number, Outgoing[]>();
  // Where the start of an attempt lies that has not been taken yet.
  const starts = new Map<string, number>();
  let urgent = 0;
  let size = 0;
  return {
    get urgent() {
      return urgent > 0;
    },
    get size() {
      return size;
    },
    add(entry, record) {
      let queue = waiting.get(entry.partition);
      if (!queue) waiting.set(entry.partition, (queue = []));
      const { change, eventId } = record;
      if (change?.$case === 'attemptStarted') {
        starts.set(eventId, queue.length);
      } else {
        urgent++;
        const at = starts.get(eventId);
        const begun = at === undefined ? undefined : queue[at]?.record;
        starts.delete(eventId); // anything else must stay behind its start
        const start = begun?.attempt === record.attempt && begun.change?.$case === 'attemptStarted' ? begun.change.value : undefined;
        if (at !== undefined && start && change?.$case === 'attemptConcluded') {
          queue[at] = { entry, record: { ...record, change: { $case: 'attemptConcluded', value: { ...change.value, started: start } } } };
          return;
        }
      }
      queue.push({ entry, record });
      size++;
    },
    take(partition) {
      const taken = waiting.get(partition) ?? [];
      waiting.delete(partition);
      size -= taken.length;
      for (const { record } of taken) {
        if (record.change?.$case === 'attemptStarted') starts.delete(record.eventId);
        else urgent--;
      }
      return taken;
    },
    partitions: () => [...waiting.keys()],
  };
}
