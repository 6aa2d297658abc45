import { appendTimeMsOf, laneKey, type LogBatch, partitionOfLane, type Subscription } from '@evenfall/event-log';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { admitAccepted, recoverEvent } from '../flows/admit-events.ts';
import type { Counters } from '../flows/counters.ts';
import { dispatchReady, type DispatchParts, resumePartition } from '../flows/dispatch.ts';
import type { OwnershipFeed } from '../flows/ownership-feed.ts';
import type { PartitionOwner } from '../flows/partition-owner.ts';
import type { Wake } from '../flows/wake.ts';
import type { Health } from '../flows/watch-health.ts';
import type { After, QueuePorts } from '../ports.ts';

export type OwningParts = DispatchParts & {
  readonly counters: Counters;
  readonly health: Health;
  readonly feed: OwnershipFeed;
  readonly deliveryWake: Wake;
};

/**
 * Follows the log for the partitions this replica owns. A new owner announces itself in the log: from there on all other writers are fenced. It waits
 * until the view has come as far, admits what is open there, and lets it run. After that the log brings what any replica accepted, and its own
 * records back, which are not fenced once they are read; another owner's record ends its tenure.
 */
export function ownPartitions(parts: OwningParts): Subscription {
  const { queue, partitions, health, deliveryWake } = parts;
  const subscription = queue.eventLog.subscribe({
    name: 'queue',
    async owned(numbers) {
      release(parts, numbers);
      health.takingOver(numbers);
      const offsets = await recover(parts, numbers);
      activate(parts, numbers);
      health.running(numbers);
      deliveryWake.request();
      dispatchReady(parts, subscription.isOwner());
      return offsets;
    },
    apply(batches: readonly LogBatch[]) {
      const ends = new Map<number, number>();
      const pump = (): void => dispatchReady(parts, subscription.isOwner());
      for (const batch of batches) {
        applyBatch(parts, partitions.get(batch.partition), batch, pump);
        ends.set(batch.partition, batch.firstOffset + batch.records.length);
      }
      subscription.applied(ends);
      pump();
      return Promise.resolve();
    },
    lost(numbers) {
      release(parts, numbers);
      health.lost(numbers);
    },
  });
  return subscription;
}

/** Begins tenures and admits the open events and pending deliveries of the view; answers the offsets to read the log from. */
async function recover(parts: OwningParts, numbers: readonly number[]): Promise<Map<number, number>> {
  const { queue, partitions } = parts;
  const announced = await Promise.all(numbers.map((partition) => announce(partitions.get(partition))));
  const offsets = new Map<number, number>();
  let count = 0;
  for await (const { positions, events, pendingDeliveries } of queue.view.snapshot(announced)) {
    for (const { partition, endOffset, owner: writerId, ownerLogMs } of positions) {
      offsets.set(partition, endOffset);
      const owner = partitions.get(partition);
      owner.writer?.readUpTo(endOffset);
      if (writerId === owner.tenure?.writerId) owner.setLogTime(ownerLogMs);
      else release(parts, [partition]); // the view has seen the next owner's record already
    }
    for (const event of events) {
      const owner = partitions.get(partitionOf(queue, event.folded));
      if (owner.tenure) recoverEvent(parts, owner, event);
    }
    for (const folded of pendingDeliveries) {
      const owner = partitions.get(partitionOf(queue, folded));
      if (owner.tenure) owner.deliveries.add(folded);
    }
    count += events.length;
  }
  queue.log.info('recovered partitions', { partitions: numbers.length, open_events: count });
  return offsets;
}

async function announce(owner: PartitionOwner): Promise<After> {
  return { partition: owner.partition, endOffset: await owner.announce() };
}

function activate(parts: OwningParts, numbers: readonly number[]): void {
  for (const partition of numbers) {
    const owner = parts.partitions.get(partition);
    if (!owner.tenure) continue; // lost meanwhile
    owner.activate();
    resumePartition(parts, owner);
  }
  parts.feed.publish();
}

function release({ partitions, counters, feed }: OwningParts, numbers: readonly number[]): void {
  const held = numbers.map((partition) => partitions.get(partition)).filter(({ mode }) => mode !== 'NOT_OWNED');
  for (const owner of held) counters.taken_over -= owner.release();
  if (held.length > 0) feed.publish();
}

function applyBatch(parts: OwningParts, owner: PartitionOwner, batch: LogBatch, pump: () => void): void {
  const { partition, firstOffset, records } = batch;
  const { tenure, writer } = owner;
  if (!tenure || !writer) return;
  let offset = firstOffset;
  for (const record of records) {
    if (record.change?.$case === 'ownerChanged' && record.writerId !== tenure.writerId && offset > tenure.epoch) {
      writer.readUpTo(offset);
      parts.queue.log.warn('another replica has taken over a partition', { partition });
      release(parts, [partition]);
      return;
    }
    void admitAccepted(parts, owner, record, offset, appendTimeMsOf(batch, offset - firstOffset))?.then(pump);
    offset++;
  }
  writer.readUpTo(offset);
}

function partitionOf({ eventLog }: QueuePorts, { event }: FoldedEvent): number {
  const { namespace = '', function: fn = '', trigger = '' } = event ?? {};
  return partitionOfLane(laneKey(namespace, fn, trigger), eventLog.partitionCount);
}
