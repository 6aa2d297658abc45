import type { Lane } from './types.ts';

/** How far apart the times are that are kept of parked events. */
const MARK_EVERY_MS = 1_000;

/** Counts what the lanes of one partition have parked. */
export type Parking = {
  /** Lanes with parked events, and how many those are. */
  readonly lanes: ReadonlySet<Lane>;
  readonly count: number;
  /** Counts an event as parked, the newest of its lane; with a time, monotonic, if it was accepted just now. */
  park(lane: Lane, acceptOffset: number, expiresMs: number, acceptedMs?: number): void;
  /** Counts parked events out. */
  unpark(lane: Lane, count: number): void;
  /** When a parked event was accepted, monotonic, or a second before that; undefined if it was before this tenure. */
  acceptedAt(lane: Lane, acceptOffset: number): number | undefined;
};

export function createParking(): Parking {
  const lanes = new Set<Lane>();
  let total = 0;
  return {
    lanes,
    get count() {
      return total;
    },
    park(lane, acceptOffset, expiresMs, acceptedMs) {
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
      lanes.add(lane);
    },
    unpark(lane, count) {
      lane.parked.count -= count;
      total -= count;
      lane.waiting -= count;
      if (lane.parked.count > 0) return;
      lanes.delete(lane);
      lane.parked.marks.length = 0;
      lane.parked.expiresMs = Number.POSITIVE_INFINITY;
    },
    acceptedAt: ({ parked: { marks } }, acceptOffset) => marks.findLast(({ offset }) => offset <= acceptOffset)?.acceptedMs,
  };
}
