import { laneKey, type LogBatch, partitionOfLane, type Subscription } from '@evenfall/event-log';
import { evolve, isFinal } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Entry } from '../domain/book.ts';
import type { Dispatcher } from '../flows/dispatcher.ts';
import type { Owner } from '../flows/owner.ts';
import type { QueuePorts } from '../ports.ts';

/** Counts what comes in: each event once, however often it was asked for. */
export type Tally = {
  /** A new event. */
  accepted(): void;
  /** Open events of a former owner, of oneself before a restart; negative when they go to somebody else, or had ended. */
  takenOver(count: number): void;
};

/**
 * Follows the log for the partitions this replica owns. A new owner takes the event-store's snapshot, reads the log from there to the end it
 * had when ownership began, and only then lets anything run. After that the log brings what others accepted; its own records it knows.
 */
export function ownPartitions(ports: QueuePorts, owner: Owner, dispatcher: Dispatcher, tally: Tally): Subscription {
  const liveFrom = new Map<number, number>();

  /** Admitted by a keyed record on the way to the end of the log: it may be the second of an event that has ended. */
  const doubtful = new Set<Entry>();

  const goLive = (partition: number): void => {
    const end = liveFrom.get(partition) ?? 0;
    liveFrom.delete(partition);
    for (const entry of owner.book.values()) {
      if (entry.partition !== partition) continue;
      if (doubtful.delete(entry)) verify(entry, end, true);
      else letRun(entry);
    }
  };
  const letRun = (entry: Entry): void => {
    owner.settle(entry);
    dispatcher.resume(entry);
  };
  const verify = (entry: Entry, endOffset: number, takenOver: boolean): void => {
    // A key names the same event for as long as its status is kept: it may have ended long ago.
    const known = ports.view.get(entry.id, { partition: entry.partition, endOffset }).catch((error: unknown) => {
      ports.log.error('could not look up a keyed event', error, { event_id: entry.id });
      return undefined; // it may run twice rather than never
    });
    void known.then((event) => {
      if (owner.book.get(entry.id) !== entry) return;
      const isOver = event !== undefined && isFinal(event.state);
      if (isOver && takenOver) tally.takenOver(-1);
      if (!isOver && !takenOver) tally.accepted();
      if (isOver) return owner.forget(entry);
      letRun(entry);
      dispatcher.pump();
    });
  };
  const applyRecord = (record: EventRecord, partition: number, endOffset: number): void => {
    const entry = owner.book.get(record.eventId);
    if (!entry) {
      const stored = evolve(undefined, record);
      const admitted = stored && owner.admit(stored, partition);
      if (!admitted) return;
      const keyed = record.change?.$case === 'accepted' && record.change.value.keyed;
      if (liveFrom.has(partition)) {
        if (keyed) doubtful.add(admitted);
        tally.takenOver(1);
      } else if (keyed) verify(admitted, endOffset, false);
      else {
        tally.accepted();
        owner.settle(admitted);
      }
      return;
    }
    if (record.writerId === ports.writerId) return; // decided here: known already
    const stored = evolve(entry.stored, record);
    if (!stored || stored === entry.stored) return;
    owner.replay(entry, stored);
    if (owner.book.has(entry.id)) return;
    doubtful.delete(entry);
    tally.takenOver(-1);
  };
  const giveUp = (partitions: readonly number[]): void => {
    for (const entry of [...owner.book.values()]) {
      if (!partitions.includes(entry.partition)) continue;
      owner.forget(entry);
      doubtful.delete(entry);
      tally.takenOver(-1);
    }
  };

  const subscription = ports.eventLog.subscribe({
    name: 'queue',
    async owned(partitions) {
      giveUp(partitions);
      const ends = await ports.eventLog.endOffsets();
      const { offsets, events } = await ports.view.snapshot(partitions);
      for (const stored of events) if (owner.admit(stored, partitionOf(ports, stored))) tally.takenOver(1);
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
    lost: giveUp,
  });
  return subscription;
}

function partitionOf(ports: QueuePorts, { event }: StoredEvent): number {
  return event ? partitionOfLane(laneKey(event.namespace, event.function, event.trigger), ports.eventLog.partitionCount) : 0;
}
