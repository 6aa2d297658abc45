import { observable } from '@evenfall/telemetry';
import type { LaneWindow } from '../domain/lanes.ts';
import type { Lane } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';
import type { Counters } from './counters.ts';
import { eventOf } from './open-events.ts';
import type { Partitions } from './partitions.ts';

/** Lanes that are shown by name: the deepest, or a scrape would grow with the number of functions. */
const DEEPEST = 20;

export type ObserveParts = {
  readonly queue: QueuePorts;
  readonly partitions: Partitions;
  readonly laneWindow: LaneWindow;
  readonly counters: Counters;
};

/** All lanes of all partitions. */
export function* allLanes({ all }: Partitions): Iterable<Lane> {
  for (const { events } of all) yield* events.lanes.all();
}

/** Shows what waits, for how long, whether the balance is right, and how far the log has been read. */
export function observeQueue({ queue, partitions, laneWindow, counters }: ObserveParts): void {
  const sum = (count: (partition: Partitions['all'][number]) => number): number =>
    partitions.all.reduce((total, owner) => total + count(owner), 0);
  const parked = (): number => sum(({ events }) => events.lanes.parkedCount);
  const open = (): number => sum(({ events }) => events.book.size) + parked();
  const balance = (): number => counters.accepted_total + counters.taken_over - counters.ended_total - open();
  const waiting = (): number => [...allLanes(partitions)].reduce((total, lane) => total + lane.waiting, 0);
  const deepest = (): ReadonlyMap<string, number> => {
    const lanes = [...allLanes(partitions)].filter((lane) => lane.waiting > 0).sort((a, b) => b.waiting - a.waiting);
    return new Map(lanes.slice(0, DEEPEST).map((lane) => [lane.key, lane.waiting]));
  };
  /** The oldest of a lane is at its head; parked events are newer. */
  const oldestSeconds = (): number => {
    let oldestMs = Infinity;
    for (const lane of allLanes(partitions)) {
      const head = lane.ready.peek();
      if (head) oldestMs = Math.min(oldestMs, eventOf(head).createTime?.getTime() ?? Infinity);
    }
    return oldestMs === Infinity ? 0 : Math.max(0, (queue.clock.now() - oldestMs) / 1_000);
  };
  const behind = async (): Promise<number> => {
    const ends = await queue.eventLog.endOffsets();
    return sum(({ isActive, partition, writer }) => (isActive && writer ? Math.max(0, (ends.get(partition) ?? 0) - writer.readEnd) : 0));
  };
  observable('queue', {
    open: { doc: 'Open events this replica owns.', kind: 'gauge', read: open },
    balance: { doc: 'Accepted and taken over, less ended and open: 0 whenever nothing is in progress.', kind: 'gauge', read: balance },
    dispatched: { doc: 'Attempts that were dispatched and have not ended.', kind: 'gauge', read: () => laneWindow.inUse },
    partitions: {
      doc: 'Partitions of the event log this replica owns.',
      kind: 'gauge',
      read: () => sum(({ isActive }) => (isActive ? 1 : 0)),
    },
    behind_records: { doc: 'Records of its partitions that this replica has not read yet.', kind: 'gauge', read: behind },
    waiting: { doc: 'Events that wait to start, in memory or parked.', kind: 'gauge', read: waiting },
    parked: { doc: 'Parked events: they wait in the view and not in memory.', kind: 'gauge', read: parked },
    oldest_waiting_seconds: { doc: 'Age of the oldest event that is ready to be dispatched.', kind: 'gauge', read: oldestSeconds },
    lane_waiting: { doc: 'Events that wait to start, of the 20 deepest lanes.', kind: 'gauge', label: 'lane', readEach: deepest },
  });
}
