import type { EventRecord } from '@evenfall/contracts/log/v1/record';

/**
 * Whom the log believes in a partition: the writer of the newest OwnerChanged. Whoever reads the log keeps it beside its place in it; all
 * readers come to the same answer, since it follows from the order of the records alone.
 */
export type PartitionOwner = string;

/** Nobody has taken the partition over yet: everybody is believed. */
export const NO_OWNER: PartitionOwner = '';

/** The owner from this record on. */
export function ownerAfter(owner: PartitionOwner, record: EventRecord): PartitionOwner {
  return record.change?.$case === 'ownerChanged' ? record.writerId : owner;
}

/** Whether a record counts. A former owner that has not heard of its successor yet may go on writing; it changes nothing. */
export function isByOwner(owner: PartitionOwner, record: EventRecord): boolean {
  const kind = record.change?.$case;
  return record.writerId === owner || kind === 'accepted' || kind === 'deadLetterPurged' || owner === NO_OWNER;
}
