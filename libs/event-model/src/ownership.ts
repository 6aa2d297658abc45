import type { EventRecord } from '@evenfall/contracts/log/v1/record';

/**
 * The owner of a partition in the log: the writer of the newest OwnerChanged. Readers keep it with their position; all of them get the same owner,
 * since it follows from the order of the records alone.
 */
export type PartitionOwner = string;

/** The partition has had no owner yet: records of all writers apply. */
export const NO_OWNER: PartitionOwner = '';

/** The owner from this record on. */
export function ownerAfter(owner: PartitionOwner, record: EventRecord): PartitionOwner {
  return record.change?.$case === 'ownerChanged' ? record.writerId : owner;
}

/** Whether a record applies. Records of a former owner, which may go on writing until it learns of the new one, are fenced. */
export function isByOwner(owner: PartitionOwner, record: EventRecord): boolean {
  const kind = record.change?.$case;
  return record.writerId === owner || kind === 'accepted' || kind === 'deadLetterPurged' || owner === NO_OWNER;
}
