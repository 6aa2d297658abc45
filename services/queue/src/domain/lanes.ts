import { laneKey } from '@evenfall/event-log/lane';
import { createFairWindow } from './fair-window.ts';
import { addToKey } from './key-counts.ts';
import { createParking, type ParkedEvent } from './parking.ts';
import { createReadyQueue } from './ready-queue.ts';
import type { QueuedEvent, Lane, LaneName } from './types.ts';

/** Events of one lane that may be dispatched and not started: enough to keep its instances busy, few enough to leave room for others. */
export const LANE_WINDOW = 256;
/** The same for all lanes together. */
const TOTAL_WINDOW = 4_096;
/** Events one lane gets before it is the next one's turn. */
const QUANTUM = 64;
/** What a lane keeps in memory, ready to go; the rest is parked. */
const LANE_READY = 20_000;
const LANE_READY_BYTES = 16 * 1024 * 1024;
/** What all lanes keep; above it a lane keeps no more than one window. */
const TOTAL_READY = 50_000;
const TOTAL_READY_BYTES = 64 * 1024 * 1024;

/** What the lanes of all partitions share: their turns, and the memory for what is ready. */
export type LaneWindow = {
  /** Events that were dispatched and have not started, in all lanes. */
  readonly inUse: number;
  /** Removes what may be dispatched now: lane by lane in turn, within the windows. Dequeued entries are in `sent`. */
  dequeue(nowMs: number): QueuedEvent[];
  /** Gives a lane a turn if it has something to give. */
  enqueue(lane: Lane): void;
  release(lane: Lane): void;
  /** Counts an entry in (1) or out (-1) of what is ready, in its lane and in all. */
  countReady(queued: QueuedEvent, sign: 1 | -1): void;
  /** Whether a lane has room in memory for one more ready entry, in the given share of what it may have. */
  hasRoom(lane: Lane, share: number): boolean;
};

export function createLaneWindow(): LaneWindow {
  const all = { limit: TOTAL_WINDOW, inUse: 0 };
  let readyCount = 0;
  let readyBytes = 0;
  const countReady = (queued: QueuedEvent, sign: 1 | -1): void => {
    const bytes = sign * queued.readyBytes;
    readyCount += sign;
    readyBytes += bytes;
    queued.lane.readyCount += sign;
    queued.lane.readyBytes += bytes;
  };
  const window = createFairWindow<Lane, QueuedEvent>({
    quantum: QUANTUM,
    groups: [all],
    groupOf: () => all,
    limitOf: () => LANE_WINDOW,
    isEmpty: (lane) => lane.ready.size === 0,
    next(lane) {
      const queued = lane.ready.shift();
      if (!queued) return undefined;
      countReady(queued, -1);
      lane.sent.add(queued);
      return queued;
    },
  });
  return {
    ...window,
    get inUse() {
      return all.inUse;
    },
    countReady,
    hasRoom(lane, share) {
      const isCrowded = readyCount >= TOTAL_READY || readyBytes >= TOTAL_READY_BYTES;
      const fitsCount = lane.readyCount < (isCrowded ? LANE_WINDOW : LANE_READY) * share;
      return fitsCount && (lane.readyBytes < LANE_READY_BYTES * share || lane.readyCount === 0);
    },
  };
}

/** The lanes of one partition. */
export type Lanes = {
  /** The lane of a name, made if there is none. */
  get(name: LaneName): Lane;
  find(key: string): Lane | undefined;
  all(): Iterable<Lane>;
  /** Adds an open event to its lane, and removes it with all that is counted of it. */
  join(queued: QueuedEvent): void;
  leave(queued: QueuedEvent): void;
  /** Counts an entry as waiting in its lane, or no longer. Twice is once. */
  countWaiting(queued: QueuedEvent): void;
  uncountWaiting(queued: QueuedEvent): void;
  /** Counts events of one access key as being accepted (or, with a negative count, no longer). */
  countAccepting(lane: Lane, count: number, accessKeyId: string): void;
  /** Puts an entry at the end of its lane's ready queue, or at its head if it was there before. */
  markReady(queued: QueuedEvent, atHead?: boolean): void;
  /** Removes an entry from the ready queue without dispatching it. */
  unmarkReady(queued: QueuedEvent): void;
  /** Notes that a dispatched event started, ended or came back. Twice is once. */
  release(queued: QueuedEvent): void;
  /** Nothing of the lane is dequeued before this time, monotonic. */
  pause(lane: Lane, untilMs: number): void;
  /** Ends the pauses of all lanes. */
  resumeAll(): void;
  /** Counts an event as parked, the newest of its lane. */
  park(lane: Lane, event: ParkedEvent): void;
  /** Counts one parked event out: it was fetched. */
  unpark(lane: Lane, accessKeyId: string): void;
  /** Counts all of a lane out: they have ended, or the partition has another owner. */
  unparkAll(lane: Lane): void;
  /** When a parked event was accepted, monotonic, or a second before that; undefined if it was before this tenure. */
  acceptedAt(lane: Lane, acceptOffset: number): number | undefined;
  /** Lanes with parked events. */
  withParked(): Iterable<Lane>;
  /** Parked events of all lanes of the partition. */
  readonly parkedCount: number;
  /** Whether a lane has room in memory for one more; what comes behind parked ones is parked too. */
  hasRoom(lane: Lane): boolean;
  /** Whether parked events of a lane should be fetched: what it has in memory runs low. */
  runsLow(lane: Lane): boolean;
  /** Drops a lane with nothing in it. */
  dropIfEmpty(lane: Lane): void;
};

export function createLanes(window: LaneWindow, partition: number): Lanes {
  const lanes = new Map<string, Lane>();
  const parking = createParking();
  const unmarkReady = (queued: QueuedEvent): void => {
    if (!queued.ready) return;
    queued.ready = false;
    window.countReady(queued, -1);
  };
  const release = (queued: QueuedEvent): void => {
    if (queued.lane.sent.delete(queued)) window.release(queued.lane);
  };
  const uncountWaiting = (queued: QueuedEvent): void => {
    if (!queued.counted) return;
    queued.counted = false;
    queued.lane.waiting--;
    addToKey(queued.lane.byKey, queued.folded.accessKeyId, -1);
  };
  const dropIfEmpty = (lane: Lane): void => {
    if (lane.members > 0 || lane.accepting > 0 || lane.parked.count > 0) return;
    if (lanes.get(lane.key) === lane) lanes.delete(lane.key); // not one that was made after it was dropped
  };
  return {
    get(name) {
      const key = laneKey(name.namespace, name.function, name.trigger);
      let lane = lanes.get(key);
      if (!lane) lanes.set(key, (lane = emptyLane(key, name, partition)));
      return lane;
    },
    find: (key) => lanes.get(key),
    all: () => lanes.values(),
    join({ lane }) {
      lane.members++;
    },
    leave(queued) {
      uncountWaiting(queued);
      unmarkReady(queued);
      release(queued);
      queued.lane.members--;
      dropIfEmpty(queued.lane);
    },
    countWaiting(queued) {
      if (queued.counted) return;
      queued.counted = true;
      queued.lane.waiting++;
      addToKey(queued.lane.byKey, queued.folded.accessKeyId, 1);
    },
    uncountWaiting,
    countAccepting(lane, count, accessKeyId) {
      lane.accepting += count;
      addToKey(lane.byKey, accessKeyId, count);
      dropIfEmpty(lane);
    },
    markReady(queued, atHead = false) {
      if (atHead) queued.lane.ready.unshift(queued);
      else queued.lane.ready.push(queued);
      queued.readyBytes = queued.folded.payload.length; // an event that ends loses its payload before it leaves
      window.countReady(queued, 1);
      window.enqueue(queued.lane);
    },
    unmarkReady,
    release,
    pause(lane, untilMs) {
      lane.pausedUntilMs = untilMs;
    },
    resumeAll() {
      for (const lane of lanes.values()) lane.pausedUntilMs = 0;
    },
    park: parking.park,
    unpark: parking.unpark,
    unparkAll: parking.unparkAll,
    acceptedAt: parking.acceptedAt,
    withParked: () => parking.lanes,
    get parkedCount() {
      return parking.count;
    },
    hasRoom: (lane) => lane.parked.count === 0 && window.hasRoom(lane, 1),
    runsLow: (lane) => lane.parked.count > 0 && !lane.parked.isFetching && window.hasRoom(lane, 0.5),
    dropIfEmpty,
  };
}

function emptyLane(key: string, { namespace, function: fn, trigger }: LaneName, partition: number): Lane {
  return {
    key,
    name: { namespace, function: fn, trigger },
    partition,
    ready: createReadyQueue(),
    sent: new Set(),
    waiting: 0,
    accepting: 0,
    byKey: new Map(),
    members: 0,
    parked: {
      count: 0,
      afterOffset: 0,
      lastOffset: 0,
      isFetching: false,
      fetchedEarly: new Set(),
      expiresMs: Number.POSITIVE_INFINITY,
      byKey: new Map(),
      marks: [],
    },
    readyCount: 0,
    readyBytes: 0,
    pausedUntilMs: 0,
    isInRound: false,
    inUse: 0,
  };
}
