import { laneKey } from '@evenfall/event-log/lane';
import type { Entry } from './book.ts';
import { createReadyQueue, type ReadyQueue } from './ready-queue.ts';

/** What names a lane. */
export type LaneName = { readonly namespace: string; readonly function: string; readonly trigger: string };

/** One async queue: the waiting events of one function and trigger, first in first out. */
export type Lane = {
  readonly key: string;
  readonly name: LaneName;
  readonly partition: number;
  /** Ready to be dispatched, in order. */
  readonly ready: ReadyQueue;
  /** Dispatched and not yet started. */
  readonly sent: Set<Entry>;
  /** Accepted and not started, wherever they are: what the lane limit counts. */
  waiting: number;
  /** Being appended to the log right now. */
  accepting: number;
  /** Open events that belong to it, running ones among them: while there are any it must not be made anew. */
  members: number;
  /** Events of it that are not in memory: the view has them, and they are fetched back in order. */
  readonly parked: Parked;
  /** Entries in `ready` that are ready, and the bytes of their payloads. */
  readyCount: number;
  readyBytes: number;
  /** Not dispatched before, monotonic; 0 if it may be at once. */
  pausedUntilMs: number;
  /** Whether it stands in the round. */
  inRound: boolean;
};

/** What of a lane stands in the view alone. All of it was accepted after everything of the lane that is in memory. */
export type Parked = {
  count: number;
  /** Offset of the Accepted record after which to fetch. */
  afterOffset: number;
  /** Offset of the newest one. */
  lastOffset: number;
  /** Whether some are being fetched. */
  fetching: boolean;
  /** Ids that were taken out of their turn, until it has passed: a view that is read late may still show them as waiting. */
  readonly taken: Set<string>;
  /** When the first of them is too old, monotonic; Infinity if none is before it is fetched. */
  expiresMs: number;
  /** When some of them were accepted, monotonic, in order, a second or more apart: that of the others lies between. */
  readonly marks: { readonly offset: number; readonly acceptedMs: number }[];
};

/** What one lane may have on its way: enough to keep its instances busy, little enough to leave room for others. */
export const LANE_WINDOW = 256;
/** What all lanes may have on their way. */
const TOTAL_WINDOW = 4_096;
/** What a lane gets before it is the next one's turn. */
const QUANTUM = 64;
/** How far apart the times are that are kept of parked events. */
const MARK_EVERY_MS = 1_000;
/** What a lane keeps in memory, ready to go; the rest is parked. */
const LANE_READY = 20_000;
const LANE_READY_BYTES = 16 * 1024 * 1024;
/** What all lanes keep; above it a lane keeps no more than one window. */
const TOTAL_READY = 50_000;
const TOTAL_READY_BYTES = 64 * 1024 * 1024;

export type Lanes = {
  /** Events dispatched and not yet started, in all lanes. */
  readonly onTheWay: number;
  get(name: LaneName, partition: number): Lane;
  all(): Iterable<Lane>;
  /** Puts a lane into the round, if it has something to give. */
  enter(lane: Lane): void;
  /** Takes what may go now: lane by lane in turn, within the windows. Taken entries are in `sent`. */
  take(nowMs: number): Entry[];
  /** Notes that a dispatched event started, ended or came back. */
  left(entry: Entry): void;
  /** Puts an entry at the end of its lane's ready queue, or at its head if it was there before. */
  ready(entry: Entry, atHead?: boolean): void;
  /** Takes note that an entry has left the ready queue without being taken. */
  unready(entry: Entry): void;
  /** Counts an event as parked, the newest of its lane; with a time, monotonic, if it was accepted just now. */
  park(lane: Lane, acceptOffset: number, expiresMs: number, acceptedMs?: number): void;
  /** When a parked event was accepted, monotonic, or a second before that; undefined if it was before this owner's time. */
  acceptedAt(lane: Lane, acceptOffset: number): number | undefined;
  /** Counts parked events out: they were fetched, or are no more. */
  unpark(lane: Lane, count: number): void;
  /** Lanes with parked events. */
  withParked(): Iterable<Lane>;
  /** Parked events of all lanes. */
  readonly parkedCount: number;
  /** Whether a lane has room in memory for one more; what comes behind parked ones is parked too. */
  hasRoom(lane: Lane): boolean;
  /** Whether parked events of a lane should be fetched: what it has in memory runs low. */
  runsLow(lane: Lane): boolean;
  /** Forgets a lane with nothing in it. */
  dropIfEmpty(lane: Lane): void;
};

export function createLanes(): Lanes {
  const lanes = new Map<string, Lane>();
  const round: Lane[] = [];
  let onTheWay = 0;
  let totalReady = 0;
  let totalBytes = 0;
  let parkedCount = 0;
  const parkedLanes = new Set<Lane>();

  const add = (entry: Entry, sign: 1 | -1): void => {
    totalReady += sign;
    totalBytes += sign * entry.readyBytes;
    entry.lane.readyBytes += sign * entry.readyBytes;
    entry.lane.readyCount += sign;
  };
  const fits = ({ readyCount, readyBytes }: Lane, share: number): boolean => {
    const isCrowded = totalReady >= TOTAL_READY || totalBytes >= TOTAL_READY_BYTES;
    return readyCount < (isCrowded ? LANE_WINDOW : LANE_READY) * share && (readyBytes < LANE_READY_BYTES * share || readyCount === 0);
  };
  const enter = (lane: Lane): void => {
    if (lane.inRound || lane.ready.size === 0 || lane.sent.size >= LANE_WINDOW) return;
    lane.inRound = true;
    round.push(lane);
  };
  return {
    get onTheWay() {
      return onTheWay;
    },
    get(name, partition) {
      const key = laneKey(name.namespace, name.function, name.trigger);
      let lane = lanes.get(key);
      if (!lane)
        lanes.set(
          key,
          (lane = {
            key,
            name: { namespace: name.namespace, function: name.function, trigger: name.trigger },
            partition,
            ready: createReadyQueue(),
            sent: new Set(),
            waiting: 0,
            accepting: 0,
            members: 0,
            parked: {
              count: 0,
              afterOffset: 0,
              lastOffset: 0,
              fetching: false,
              taken: new Set(),
              expiresMs: Number.POSITIVE_INFINITY,
              marks: [],
            },
            readyCount: 0,
            readyBytes: 0,
            pausedUntilMs: 0,
            inRound: false,
          }),
        );
      return lane;
    },
    all: () => lanes.values(),
    enter,
    take(nowMs) {
      const taken: Entry[] = [];
      const later: Lane[] = [];
      while (round.length > 0 && onTheWay < TOTAL_WINDOW) {
        const lane = round.shift() as Lane; // there is one
        lane.inRound = false;
        if (lane.pausedUntilMs > nowMs) {
          later.push(lane);
          continue;
        }
        for (let i = 0; i < QUANTUM && lane.sent.size < LANE_WINDOW && onTheWay < TOTAL_WINDOW; i++) {
          const entry = lane.ready.shift();
          if (!entry) break;
          add(entry, -1);
          lane.sent.add(entry);
          onTheWay++;
          taken.push(entry);
        }
        enter(lane);
      }
      for (const lane of later) {
        lane.inRound = true;
        round.push(lane);
      }
      return taken;
    },
    left(entry) {
      if (!entry.lane.sent.delete(entry)) return;
      onTheWay--;
      enter(entry.lane);
    },
    ready(entry, atHead = false) {
      if (atHead) entry.lane.ready.unshift(entry);
      else entry.lane.ready.push(entry);
      entry.readyBytes = entry.stored.payload.length; // an event that ends lets its payload go before it leaves
      add(entry, 1);
      enter(entry.lane);
    },
    unready(entry) {
      if (!entry.ready) return;
      entry.ready = false;
      add(entry, -1);
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
      parkedCount++;
      lane.waiting++;
      parkedLanes.add(lane);
    },
    acceptedAt({ parked: { marks } }, acceptOffset) {
      return marks.findLast(({ offset }) => offset <= acceptOffset)?.acceptedMs;
    },
    unpark(lane, count) {
      lane.parked.count -= count;
      parkedCount -= count;
      lane.waiting -= count;
      if (lane.parked.count > 0) return;
      parkedLanes.delete(lane);
      lane.parked.marks.length = 0;
      lane.parked.expiresMs = Number.POSITIVE_INFINITY;
    },
    withParked: () => parkedLanes,
    get parkedCount() {
      return parkedCount;
    },
    hasRoom: (lane) => lane.parked.count === 0 && fits(lane, 1),
    runsLow: (lane) => lane.parked.count > 0 && !lane.parked.fetching && fits(lane, 0.5),
    dropIfEmpty(lane) {
      if (lane.members === 0 && lane.accepting === 0 && lane.parked.count === 0) lanes.delete(lane.key);
    },
  };
}
