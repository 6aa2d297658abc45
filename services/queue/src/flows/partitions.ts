import type { QueuedEvent } from '../domain/types.ts';
import { createPartitionOwner, type PartitionOwner, type SharedParts } from './partition-owner.ts';

/** All partitions of the event log, owned or not. */
export type Partitions = {
  /** By number of the partition. */
  readonly all: readonly PartitionOwner[];
  /** Throws for a number that the log does not have. */
  get(partition: number): PartitionOwner;
  /** The entry of an open event that is held here; looks into the named partition first. */
  find(eventId: string, partition?: number): QueuedEvent | undefined;
  /** Whether decisions may be made about a partition; false for a number that the log does not have. */
  isActive(partition: number): boolean;
  /** Waits until nothing is on its way to the log. */
  idle(): Promise<void>;
};

export function createPartitions(shared: SharedParts): Partitions {
  const { partitionCount } = shared.queue.eventLog;
  const all = Array.from({ length: partitionCount }, (_, partition) => createPartitionOwner(shared, partition));
  return {
    all,
    get(partition) {
      const owner = all[partition];
      if (!owner) throw new Error(`The event log has no partition ${partition}`);
      return owner;
    },
    find(eventId, partition = -1) {
      const queued = all[partition]?.events.book.get(eventId);
      if (queued) return queued;
      for (const { events } of all) {
        const found = events.book.get(eventId);
        if (found) return found;
      }
      return undefined;
    },
    isActive: (partition) => all[partition]?.isActive ?? false,
    async idle() {
      for (const { writer } of all) await writer?.idle();
    },
  };
}
