import { laneKey, type LogBatch, partitionOfLane, type Subscription } from '@evenfall/event-log';
import { evolve, isFinal } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Entry } from '../domain/book.ts';
import type { Tally } from '../domain/tally.ts';
import type { Dispatcher } from '../flows/dispatcher.ts';
import type { Owner } from '../flows/owner.ts';
import type { QueuePorts } from '../ports.ts';

/**
 * Follows the log for the partitions this replica owns. A new owner takes the event-store's snapshot, reads the log from there to the end it
 * had when ownership began, and only then lets anything run. After that the log brings what others accepted; its own records it knows.
 */
export function ownPartitions(ports: QueuePorts, owner: Owner, dispatcher: Dispatcher, tally: Tally): Subscription {
  const liveFrom = new Map<number, number>();

  const goLive = (partition: number): void => {
    liveFrom.delete(partition);
    for (const entry of owner.book.values()) {
      if (entry.partition !== partition) continue;
      owner.settle(entry);
      dispatcher.resume(entry);
    }
  };
  const verify = async (entry: Entry, endOffset: number): Promise<void> => {
    // A key names the same event for as long as its status is kept: it may have ended long ago.
    const known = await ports.view.get(entry.id, { partition: entry.partition, endOffset });
    if (owner.book.get(entry.id) !== entry) return;
    if (known && isFinal(known.state)) {
      owner.forget(entry);
      tally.left();
      return;
    }
    owner.settle(entry);
    dispatcher.pump();
  };
  const applyRecord = (record: EventRecord, partition: number, endOffset: number): void => {
    const entry = owner.book.get(record.eventId);
    const isAccepted = record.change?.$case === 'accepted';
    if (!entry) {
      const stored = evolve(undefined, record);
      const admitted = stored && owner.admit(stored, partition);
      if (isAccepted) tally.read(partition, endOffset, record.writerId === ports.writerId, admitted !== undefined);
      if (!admitted || liveFrom.has(partition)) return;
      if (record.change?.$case === 'accepted' && record.change.value.keyed) {
        verify(admitted, endOffset).catch((error: unknown) => {
          ports.log.error('could not look up a keyed event', error, { event_id: admitted.id });
          owner.settle(admitted); // it may run twice rather than never
        });
      } else owner.settle(admitted);
      return;
    }
    if (isAccepted) tally.read(partition, endOffset, record.writerId === ports.writerId, false);
    if (record.writerId === ports.writerId) return; // decided here: known already
    const stored = evolve(entry.stored, record);
    if (!stored || stored === entry.stored) return;
    owner.replay(entry, stored);
    if (!owner.book.has(entry.id)) tally.left();
  };

  const subscription = ports.eventLog.subscribe({
    name: 'queue',
    async owned(partitions) {
      for (const entry of [...owner.book.values()]) if (partitions.includes(entry.partition)) owner.forget(entry);
      const ends = await ports.eventLog.endOffsets();
      const { offsets, events } = await ports.view.snapshot(partitions);
      for (const stored of events) owner.admit(stored, partitionOf(ports, stored));
      tally.tookOver(ends, owner.book.size);
      for (const partition of partitions) {
        const end = ends.get(partition) ?? 0;
        liveFrom.set(partition, end);
        if ((offsets.get(partition) ?? 0) >= end) goLive(partition);
      }
      ports.log.info('took partitions over', { partitions: partitions.length, open_events: events.length });
      dispatcher.pump();
      return offsets;
    },
    apply(batches: readonly LogBatch[]) {
      const ends = new Map<number, number>();
      for (const { partition, firstOffset, records } of batches) {
        let offset = firstOffset;
        for (const record of records) applyRecord(record, partition, ++offset);
        ends.set(partition, offset);
        const from = liveFrom.get(partition);
        if (from !== undefined && offset >= from) goLive(partition);
      }
      subscription.applied(ends);
      dispatcher.pump();
      return Promise.resolve();
    },
    lost(partitions) {
      for (const entry of [...owner.book.values()]) if (partitions.includes(entry.partition)) owner.forget(entry);
      tally.tookOver(new Map(), owner.book.size);
    },
  });
  return subscription;
}

function partitionOf(ports: QueuePorts, { event }: StoredEvent): number {
  return event ? partitionOfLane(laneKey(event.namespace, event.function, event.trigger), ports.eventLog.partitionCount) : 0;
}
