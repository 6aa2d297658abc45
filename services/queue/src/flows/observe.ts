import { observable } from '@evenfall/telemetry';
import type { QueuePorts } from '../ports.ts';
import { eventOf, type Owner } from './owner.ts';
import type { Ownership } from './ownership.ts';
import type { Writer } from './writer.ts';

/** Lanes that are told of by name: the deepest, or a scrape would grow with the number of functions. */
const DEEPEST = 20;

/** Shows what waits, for how long, and how far the log has been read. */
export function observeQueue(ports: QueuePorts, owner: Owner, ownership: Ownership, writer: Writer): void {
  const { lanes } = owner;
  const waiting = (): number => {
    let sum = 0;
    for (const lane of lanes.all()) sum += lane.waiting;
    return sum;
  };
  const deepest = (): ReadonlyMap<string, number> => {
    const all = [...lanes.all()].filter((lane) => lane.waiting > 0).sort((a, b) => b.waiting - a.waiting);
    return new Map(all.slice(0, DEEPEST).map((lane) => [lane.key, lane.waiting]));
  };
  /** The oldest of a lane stands at its head; what is parked is younger. */
  const oldestSeconds = (): number => {
    let oldestMs = Infinity;
    for (const lane of lanes.all()) {
      const head = lane.ready.peek();
      if (head) oldestMs = Math.min(oldestMs, eventOf(head).createTime?.getTime() ?? Infinity);
    }
    return oldestMs === Infinity ? 0 : Math.max(0, (ports.clock.now() - oldestMs) / 1_000);
  };
  const behind = async (): Promise<number> => {
    const ends = await ports.eventLog.endOffsets();
    let records = 0;
    for (const partition of ownership.live().keys()) records += Math.max(0, (ends.get(partition) ?? 0) - writer.readEnd(partition));
    return records;
  };
  observable('queue', {
    on_the_way: { doc: 'Attempts that were dispatched and have not ended.', kind: 'gauge', read: () => lanes.onTheWay },
    partitions: { doc: 'Partitions of the event log this replica owns.', kind: 'gauge', read: () => ownership.live().size },
    behind_records: { doc: 'Records of its partitions that this replica has not read yet.', kind: 'gauge', read: behind },
    waiting: { doc: 'Events that wait to start, wherever they are.', kind: 'gauge', read: waiting },
    parked: { doc: 'Events of those that are in the view alone.', kind: 'gauge', read: () => lanes.parkedCount },
    oldest_waiting_seconds: { doc: 'Age of the oldest event that could go now.', kind: 'gauge', read: oldestSeconds },
    lane_waiting: { doc: 'Events that wait to start, of the 20 deepest lanes.', kind: 'gauge', label: 'lane', readEach: deepest },
  });
}
