import type { EventRecord } from '@evenfall/contracts/log/v1/record';

/** Records on their way to the log, per partition. */
export type Outbox = {
  /** Adds a record. A start that is followed by its end before it was taken goes with it as one record. */
  add(partition: number, record: EventRecord): void;
  /** Takes everything that waits for a partition. */
  take(partition: number): EventRecord[];
  /** Partitions with something in them. */
  partitions(): number[];
  /** Whether anything but starts waits: a start alone may wait a little for its end. */
  readonly urgent: boolean;
  readonly size: number;
};

export function createOutbox(): Outbox {
  const waiting = new Map<number, EventRecord[]>();
  // Where the start of an attempt lies that has not been taken yet.
  const starts = new Map<string, { records: EventRecord[]; at: number }>();
  let urgent = 0;
  let size = 0;
  return {
    get urgent() {
      return urgent > 0;
    },
    get size() {
      return size;
    },
    add(partition, record) {
      let records = waiting.get(partition);
      if (!records) waiting.set(partition, (records = []));
      const { change } = record;
      if (change?.$case === 'attemptStarted') {
        starts.set(record.eventId, { records, at: records.length });
      } else {
        urgent++;
        const start = change?.$case === 'attemptConcluded' ? starts.get(record.eventId) : undefined;
        const begun = start?.records[start.at];
        if (
          start &&
          begun?.change?.$case === 'attemptStarted' &&
          begun.attempt === record.attempt &&
          change?.$case === 'attemptConcluded'
        ) {
          starts.delete(record.eventId);
          start.records[start.at] = {
            ...record,
            change: { $case: 'attemptConcluded', value: { ...change.value, started: begun.change.value } },
          };
          return;
        }
        // Anything in between must stay behind its start.
        starts.delete(record.eventId);
      }
      records.push(record);
      size++;
    },
    take(partition) {
      const records = waiting.get(partition) ?? [];
      waiting.delete(partition);
      size -= records.length;
      for (const record of records) {
        if (record.change?.$case === 'attemptStarted') starts.delete(record.eventId);
        else urgent--;
      }
      return records;
    },
    partitions: () => [...waiting.keys()],
  };
}
