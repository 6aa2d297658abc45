import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { inParts, recordBytes } from '@evenfall/event-model';
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
  /** Takes what waits for a partition, in order, up to so many bytes; one record that is larger goes alone. */
  take(partition: number, maxBytes?: number): Outgoing[];
  /** Partitions with something in them. */
  partitions(): number[];
  /** Whether anything but starts waits: a start alone may wait a little for its end. */
  readonly urgent: boolean;
  readonly size: number;
};

/** What waits of a partition: the place of its first record among all there ever were, and the records. */
type Waiting = { first: number; records: Outgoing[] };

export function createOutbox(): Outbox {
  const waiting = new Map<number, Waiting>();
  // Place of the start of an attempt that has not been taken yet.
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
      if (!queue) waiting.set(entry.partition, (queue = { first: 0, records: [] }));
      const { records } = queue;
      const { change, eventId } = record;
      if (change?.$case === 'attemptStarted') {
        starts.set(eventId, queue.first + records.length);
      } else {
        urgent++;
        const place = starts.get(eventId);
        const at = place === undefined ? undefined : place - queue.first;
        const begun = at === undefined ? undefined : records[at]?.record;
        starts.delete(eventId); // anything else must stay behind its start
        const start = begun?.attempt === record.attempt && begun.change?.$case === 'attemptStarted' ? begun.change.value : undefined;
        if (at !== undefined && start && change?.$case === 'attemptConcluded') {
          records[at] = { entry, record: { ...record, change: { $case: 'attemptConcluded', value: { ...change.value, started: start } } } };
          return;
        }
      }
      records.push({ entry, record });
      size++;
    },
    take(partition, maxBytes = Infinity) {
      const queue = waiting.get(partition);
      if (!queue) return [];
      const [first = []] = inParts(queue.records, ({ record }) => recordBytes(record), maxBytes);
      const taken = first.length === queue.records.length ? queue.records : queue.records.slice(0, first.length);
      if (taken === queue.records) waiting.delete(partition);
      else waiting.set(partition, { first: queue.first + taken.length, records: queue.records.slice(taken.length) });
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
