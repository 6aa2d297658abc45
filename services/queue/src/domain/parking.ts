import { addToKey } from './key-counts.ts';
import type { Lane } from './types.ts';

/** How far apart the times are that are kept of parked events. */
const MARK_EVERY_MS = 1_000;

/** Counts what the lanes of one partition have parked. */
export type Parking = {
  /** Lanes with parked events, and how many those are. */
  readonly lanes: ReadonlySet<Lane>;
  readonly count: number;
  /** Counts an event as parked, the newest of its lane; with a time, monotonic, if it was accepted just now. */
  park(lane: Lane, event: ParkedEvent): void;
  /** Counts one parked event out. */
  unpark(lane: Lane, accessKeyId: string): void;
  /** Counts all parked events of a lane out. */
  unparkAll(lane: Lane): void;
  /** When a parked event was accepted, monotonic, or a second before that; undefined if it was before this tenure. */
  acceptedAt(lane: Lane, acceptOffset: number): number | undefined;
};

/** What is counted of a parked event: `acceptedMs`, monotonic, if it was accepted just now. */
export type ParkedEvent = {
  readonly acceptOffset: number;
  readonly expiresMs: number;
  readonly accessKeyId: string;
  readonly acceptedMs: number | undefined;
};

export function createParking(): Parking {
  const lanes = new Set<Lane>();
  let total = 0;
  const countOut = (lane: Lane, count: number): void => {
    lane.parked.count -= count;
    total -= count;
    lane.waiting -= count;
    if (lane.parked.count > 0) return;
    lanes.delete(lane);
    lane.parked.marks.length = 0;
    lane.parked.expiresMs = Number.POSITIVE_INFINITY;
  };
  return {
    lanes,
    get count() {
      return total;
    },
    park(lane, { acceptOffset, expiresMs, accessKeyId, acceptedMs }) {
      const { parked } = lane;
      if (parked.count === 0) parked.afterOffset = acceptOffset - 1;
      parked.count++;
      parked.lastOffset = acceptOffset;
      parked.expiresMs = Math.min(parked.expiresMs, expiresMs);
      const last = parked.marks[parked.marks.length - 1];
      if (acceptedMs !== undefined && (!last || acceptedMs - last.acceptedMs >= MARK_EVERY_MS))
        parked.marks.push({ offset: acceptOffset, acceptedMs });
      total++;
      lane.waiting++;
      addToKey(parked.byKey, accessKeyId, 1);
      addToKey(lane.byKey, accessKeyId, 1);
      lanes.add(lane);
    },
    unpark(lane, accessKeyId) {
      addToKey(lane.parked.byKey, accessKeyId, -1);
      addToKey(lane.byKey, accessKeyId, -1);
      countOut(lane, 1);
    },
    unparkAll(lane) {
      for (const [accessKeyId, count] of lane.parked.byKey) addToKey(lane.byKey, accessKeyId, -count);
      lane.parked.byKey.clear();
      countOut(lane, lane.parked.count);
    },
    acceptedAt: ({ parked: { marks } }, acceptOffset) => marks.findLast(({ offset }) => offset <= acceptOffset)?.acceptedMs,
  };
}
