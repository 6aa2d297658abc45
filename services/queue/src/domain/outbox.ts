import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { inParts, recordBytes } from '@evenfall/event-model';
import type { Outgoing, Subject } from './types.ts';

/** What waits in all outboxes, counted for those who decide when to write. Written by the outboxes. */
export type OutboxTotals = {
  records: number;
  /** Records other than starts: a start alone may wait a little for its end. */
  urgent: number;
};

/** Records of one partition on their way to the log, in order. */
export type Outbox = {
  /** Adds a record. A start that is followed by its end before it was dequeued becomes one record with it. */
  add(subject: Subject, record: EventRecord): void;
  /** Removes what waits, in order, up to so many bytes; one record that is larger goes alone. */
  dequeue(maxBytes?: number): readonly Outgoing[];
  readonly size: number;
};

export function createOutbox(totals: OutboxTotals): Outbox {
  /** Place of the first record among all there ever were. */
  let first = 0;
  let records: Outgoing[] = [];
  /** Place of the start of an attempt that has not been dequeued, by event. */
  const starts = new Map<string, number>();
  return {
    get size() {
      return records.length;
    },
    add(subject, record) {
      const { change, eventId } = record;
      if (change?.$case === 'attemptStarted') {
        starts.set(eventId, first + records.length);
      } else {
        totals.urgent++;
        const place = starts.get(eventId);
        if (place !== undefined) {
          starts.delete(eventId); // anything else must stay behind its start
          const begun = records[place - first]?.record;
          const start = begun?.attempt === record.attempt && begun.change?.$case === 'attemptStarted' ? begun.change.value : undefined;
          if (start && change?.$case === 'attemptEnded') {
            const value = { ...change.value, started: start };
            records[place - first] = { subject, record: { ...record, change: { $case: 'attemptEnded', value } } };
            return;
          }
        }
      }
      records.push({ subject, record });
      totals.records++;
    },
    dequeue(maxBytes = Infinity) {
      const [part = []] = inParts(records, ({ record }) => recordBytes(record), maxBytes);
      const dequeued = part.length === records.length ? records : records.slice(0, part.length);
      records = dequeued === records ? [] : records.slice(part.length);
      first += dequeued.length;
      totals.records -= dequeued.length;
      for (const { record } of dequeued) {
        if (record.change?.$case === 'attemptStarted') starts.delete(record.eventId);
        else totals.urgent--;
      }
      return dequeued;
    },
  };
}
