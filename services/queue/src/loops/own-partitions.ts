import { laneKey, type LogBatch, partitionOfLane, type Subscription } from '@evenfall/event-log';
import { isBelieved, NO_OWNER, ownerAfter, type PartitionOwner } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { recordOf } from '../domain/record.ts';
import type { Dispatcher } from '../flows/dispatcher.ts';
import type { Owner } from '../flows/owner.ts';
import type { Ownership } from '../flows/ownership.ts';
import { createRecovery, type Tally } from '../flows/recovery.ts';
import type { Writer } from '../flows/writer.ts';
import type { QueuePorts } from '../ports.ts';

export type OwningPorts = {
  readonly queue: QueuePorts;
  readonly ownership: Ownership;
  readonly owner: Owner;
  readonly writer: Writer;
  readonly dispatcher: Dispatcher;
};

/**
 * Follows the log for the partitions this replica owns. A new owner says so in the log: from there on nobody else is believed. Then it takes
 * the event-store's snapshot, reads the log from there to its own word, and only then lets anything run. After that the log brings what
 * others accepted, and its own records back, which count once they are read; another owner's word is the end of it.
 */
export function ownPartitions(ports: OwningPorts, tally: Tally): Subscription {
  const { queue, ownership, owner, writer, dispatcher } = ports;
  const believed = new Map<number, PartitionOwner>();
  const recovery = createRecovery(ports, tally);

  const giveUp = (partitions: readonly number[]): void => {
    const held = partitions.filter((partition) => ownership.tenureOf(partition));
    if (held.length === 0) return;
    ownership.end(held);
    for (const partition of held) writer.drop(partition);
    const gone = new Set(held);
    for (const entry of [...owner.book.values()]) {
      if (!gone.has(entry.partition)) continue;
      recovery.forget(entry);
      owner.forget(entry);
      tally.takenOver(-1);
      for (const waiter of entry.waiters ?? []) waiter.abandon();
    }
  };
  const beginTenure = async (partition: number): Promise<void> => {
    const writerId = ownership.newWriterId();
    const word = recordOf('', 0, { $case: 'ownerChanged', value: {} }, queue.clock.now(), writerId);
    const end = await queue.eventLog.append(partition, [word]);
    ownership.begin(partition, { writerId, epoch: end - 1 });
  };
  const applyBatch = ({ partition, firstOffset, records }: LogBatch): void => {
    let offset = firstOffset;
    for (const record of records) {
      offset++;
      const tenure = ownership.tenureOf(partition);
      if (!tenure) return;
      believed.set(partition, ownerAfter(believed.get(partition) ?? NO_OWNER, record));
      if (record.change?.$case === 'ownerChanged') {
        if (record.writerId === tenure.writerId || offset <= tenure.epoch) continue;
        writer.readUpTo(partition, offset);
        queue.log.warn('another replica has taken a partition over', { partition });
        return giveUp([partition]);
      }
      applyRecord(record, partition, offset, tenure.writerId);
    }
    writer.readUpTo(partition, offset);
    if (offset > (ownership.tenureOf(partition)?.epoch ?? Infinity)) recovery.complete(partition);
  };
  const applyRecord = (record: EventRecord, partition: number, endOffset: number, writerId: string): void => {
    if (record.writerId === writerId) return; // decided here: known already
    if (isBelieved(believed.get(partition) ?? NO_OWNER, record)) recovery.apply(record, partition, endOffset);
  };

  const subscription = queue.eventLog.subscribe({
    name: 'queue',
    async owned(partitions) {
      giveUp(partitions);
      await Promise.all(partitions.map(beginTenure));
      const { positions, events } = await queue.view.snapshot(partitions);
      for (const stored of events) if (owner.admit(stored, partitionOf(queue, stored))) tally.takenOver(1);
      const offsets = new Map<number, number>();
      for (const [partition, position] of positions) {
        offsets.set(partition, position.endOffset);
        believed.set(partition, position.owner);
        // The view may have come as far already.
        if (position.endOffset > (ownership.tenureOf(partition)?.epoch ?? Infinity)) recovery.complete(partition);
      }
      queue.log.info('took partitions over', { partitions: partitions.length, open_events: events.length });
      dispatcher.pump();
      return offsets;
    },
    apply(batches: readonly LogBatch[]) {
      const ends = new Map<number, number>();
      for (const batch of batches) {
        applyBatch(batch);
        ends.set(batch.partition, batch.firstOffset + batch.records.length);
      }
      subscription.applied(ends);
      dispatcher.pump();
      return Promise.resolve();
    },
    lost: giveUp,
  });
  return subscription;
}

function partitionOf({ eventLog }: QueuePorts, { event }: StoredEvent): number {
  return event ? partitionOfLane(laneKey(event.namespace, event.function, event.trigger), eventLog.partitionCount) : 0;
}
