import { appendTimeMsOf, laneKey, type LogBatch, partitionOfLane, type Subscription } from '@evenfall/event-log';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { recordOf } from '../domain/record.ts';
import type { Deliverer } from '../flows/deliver.ts';
import type { Dispatcher } from '../flows/dispatcher.ts';
import { createIntake, type Tally } from '../flows/intake.ts';
import type { Owner } from '../flows/owner.ts';
import type { Ownership } from '../flows/ownership.ts';
import type { Health } from '../flows/watch-health.ts';
import type { Writer } from '../flows/writer.ts';
import type { QueuedEvent, QueuePorts } from '../ports.ts';

export type OwningPorts = {
  readonly queue: QueuePorts;
  readonly ownership: Ownership;
  readonly owner: Owner;
  readonly writer: Writer;
  readonly dispatcher: Dispatcher;
  readonly deliverer: Deliverer;
  readonly health: Health;
};

/**
 * Follows the log for the partitions this replica owns. A new owner says so in the log: from there on nobody else is believed. It waits
 * until the view has come as far, takes what is open there, and lets it run. After that the log brings what anybody accepted, and its own
 * records back, which count once they are read; another owner's word is the end of it.
 */
export function ownPartitions(ports: OwningPorts, tally: Tally): Subscription {
  const { queue, ownership, owner, writer, dispatcher, deliverer, health } = ports;
  const intake = createIntake(ports, tally);

  const giveUp = (partitions: readonly number[]): void => {
    const held = partitions.filter((partition) => ownership.tenureOf(partition));
    if (held.length === 0) return;
    ownership.end(held);
    for (const partition of held) writer.drop(partition);
    deliverer.drop(held);
    for (const entry of [...owner.book.values()]) {
      if (!held.includes(entry.partition)) continue;
      owner.forget(entry);
      tally.takenOver(-1);
      for (const waiter of entry.waiters ?? []) waiter.abandon();
    }
    for (const lane of [...owner.lanes.withParked()]) {
      if (!held.includes(lane.partition)) continue;
      const { count } = lane.parked;
      owner.lanes.unpark(lane, count);
      tally.takenOver(-count);
      owner.lanes.dropIfEmpty(lane);
    }
  };
  const beginTenure = async (partition: number): Promise<{ partition: number; endOffset: number }> => {
    const writerId = ownership.newWriterId();
    const word = recordOf('', 0, { $case: 'ownerChanged', value: {} }, queue.clock.now(), writerId);
    const endOffset = await queue.eventLog.append(partition, [word]);
    ownership.begin(partition, { writerId, epoch: endOffset - 1, begunMs: queue.clock.monotonic() });
    return { partition, endOffset };
  };
  const recover = (event: QueuedEvent): void => {
    const partition = partitionOf(queue, event.stored);
    if (ownership.tenureOf(partition)) intake.recover(event, partition);
  };
  const recoverOwed = (stored: StoredEvent): void => {
    const partition = partitionOf(queue, stored);
    if (ownership.tenureOf(partition)) deliverer.owe(stored, partition, false);
  };
  const letRun = (partitions: readonly number[]): void => {
    for (const partition of partitions) {
      if (!ownership.tenureOf(partition)) continue; // taken over by another already
      ownership.goLive(partition);
      dispatcher.claim(partition);
    }
    for (const lane of owner.lanes.all()) if (partitions.includes(lane.partition)) lane.pausedUntilMs = 0;
    for (const entry of owner.book.values()) if (partitions.includes(entry.partition)) dispatcher.resume(entry);
  };
  const applyBatch = (batch: LogBatch): void => {
    const { partition, firstOffset, records } = batch;
    let offset = firstOffset;
    for (const record of records) {
      const tenure = ownership.tenureOf(partition);
      if (!tenure) return;
      if (record.change?.$case === 'ownerChanged' && record.writerId !== tenure.writerId && offset > tenure.epoch) {
        writer.readUpTo(partition, offset);
        queue.log.warn('another replica has taken a partition over', { partition });
        return giveUp([partition]);
      }
      intake.accept(record, partition, offset, appendTimeMsOf(batch, offset - firstOffset));
      offset++;
    }
    writer.readUpTo(partition, offset);
  };

  const subscription = queue.eventLog.subscribe({
    name: 'queue',
    async owned(partitions) {
      giveUp(partitions);
      health.takingOver(partitions);
      const words = await Promise.all(partitions.map(beginTenure));
      const offsets = new Map<number, number>();
      let count = 0;
      for await (const { positions, events, owed } of queue.view.snapshot(words)) {
        for (const { partition, endOffset, owner: believed, ownerLogMs } of positions) {
          offsets.set(partition, endOffset);
          writer.readUpTo(partition, endOffset);
          if (believed === ownership.tenureOf(partition)?.writerId) ownership.dated(partition, ownerLogMs);
          else giveUp([partition]); // the view has seen the next one's word already
        }
        for (const event of events) recover(event);
        for (const stored of owed) recoverOwed(stored);
        count += events.length;
      }
      letRun(partitions);
      health.running(partitions);
      queue.log.info('took partitions over', { partitions: partitions.length, open_events: count });
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
    lost(partitions) {
      giveUp(partitions);
      health.lost(partitions);
    },
  });
  return subscription;
}

function partitionOf({ eventLog }: QueuePorts, { event }: StoredEvent): number {
  const { namespace = '', function: fn = '', trigger = '' } = event ?? {};
  return partitionOfLane(laneKey(namespace, fn, trigger), eventLog.partitionCount);
}
