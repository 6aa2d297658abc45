import { destinationKey } from '@evenfall/event-model';
import { type DueQueue, dueQueue } from '@evenfall/time';
import { createFairWindow, type FairWindow, type WindowGroup } from './fair-window.ts';
import type { Destination, PendingDelivery, Target, TargetKind } from './types.ts';

/** Attempts at once of one kind, of one destination, and what a destination gets before it is the next one's turn. */
const KIND_WINDOW = 256;
const DESTINATION_WINDOW = 32;
const QUANTUM = 4;
/** What one destination keeps in memory, and all of them; above the latter a destination keeps little. The rest is in the view. */
const DESTINATION_HELD = 1_000;
const DESTINATION_BYTES = 8 * 1024 * 1024;
const TOTAL_HELD = 10_000;
const TOTAL_BYTES = 64 * 1024 * 1024;
const CROWDED_HELD = 16;

/** What the pending deliveries of all partitions share: the destinations with their turns, and the memory. */
export type Destinations = {
  /** The destination of a target, made if there is none. */
  get(target: Target): Destination;
  all(): Iterable<Destination>;
  /** Puts a delivery in memory and at the end of what may be tried. */
  hold(delivery: PendingDelivery): void;
  /** Removes one from memory. Twice is once. */
  drop(delivery: PendingDelivery): void;
  /** Counts parked ones of a partition in, or with a negative number out; nothing is left of them after `clearParked`. */
  countParked(destination: Destination, partition: number, by: number): void;
  clearParked(destination: Destination, partition: number): void;
  /** Whether a destination has room in memory for one more, in the given share of what it may have. */
  hasRoom(destination: Destination, share: number): boolean;
  /** Removes what may be tried now, destination by destination in turn. */
  dequeue(nowMs: number): PendingDelivery[];
  /** Notes that an attempt is over. */
  release(delivery: PendingDelivery, isFailure: boolean): void;
  /** Tries a delivery again at that time, monotonic. */
  retryAt(delivery: PendingDelivery, dueMs: number): void;
  dropIfEmpty(destination: Destination): void;
  /** All pending deliveries, in memory or not. */
  readonly size: number;
  /** When the event ended that has been waiting longest in memory. */
  oldestEndMs(): number | undefined;
};

export function createDestinations(): Destinations {
  const destinations = new Map<string, Destination>();
  const due: DueQueue<PendingDelivery> = dueQueue();
  const window = createWindow();
  let held = 0;
  let bytes = 0;
  let parked = 0;
  const dropIfEmpty = (destination: Destination): void => {
    const { key, inUse, fetching } = destination;
    if (destination.held.size > 0 || destination.parked.size > 0 || fetching.size > 0 || inUse > 0) return;
    if (destinations.get(key) === destination) destinations.delete(key); // not one that was made after it was dropped
  };
  return {
    get(target) {
      const key = destinationKey(target);
      let destination = destinations.get(key);
      if (!destination) destinations.set(key, (destination = emptyDestination(key, target.$case)));
      return destination;
    },
    all: () => destinations.values(),
    hold(delivery) {
      const { destination } = delivery;
      destination.held.add(delivery);
      destination.bytes += delivery.bytes;
      held++;
      bytes += delivery.bytes;
      destination.ready.push(delivery);
      window.enqueue(destination);
    },
    drop(delivery) {
      const { destination } = delivery;
      if (!destination.held.delete(delivery)) return;
      delivery.isHeld = false;
      destination.bytes -= delivery.bytes;
      held--;
      bytes -= delivery.bytes;
    },
    countParked(destination, partition, by) {
      destination.parked.set(partition, (destination.parked.get(partition) ?? 0) + by);
      parked += by;
    },
    clearParked(destination, partition) {
      parked -= destination.parked.get(partition) ?? 0;
      destination.parked.delete(partition);
    },
    hasRoom(destination, share) {
      const isCrowded = held >= TOTAL_HELD || bytes >= TOTAL_BYTES;
      const most = (isCrowded ? CROWDED_HELD : DESTINATION_HELD) * share;
      return destination.held.size < most && (destination.bytes < DESTINATION_BYTES * share || destination.held.size === 0);
    },
    dequeue(nowMs) {
      for (const delivery of due.dequeueDue(nowMs)) {
        if (!delivery.isHeld) continue;
        delivery.destination.ready.push(delivery);
        window.enqueue(delivery.destination);
      }
      return window.dequeue(nowMs);
    },
    release({ destination }, isFailure) {
      destination.failuresInRow = isFailure ? destination.failuresInRow + 1 : 0;
      window.release(destination);
      dropIfEmpty(destination);
    },
    retryAt: (delivery, dueMs) => due.push(dueMs, delivery),
    dropIfEmpty,
    get size() {
      return held + parked;
    },
    oldestEndMs() {
      let oldest: number | undefined;
      for (const destination of destinations.values()) for (const { endMs } of destination.held) oldest = Math.min(oldest ?? endMs, endMs);
      return oldest;
    },
  };
}

function createWindow(): FairWindow<Destination, PendingDelivery> {
  const kinds: Readonly<Record<TargetKind, WindowGroup>> = {
    function: { limit: KIND_WINDOW, inUse: 0 },
    topic: { limit: KIND_WINDOW, inUse: 0 },
    webhook: { limit: KIND_WINDOW, inUse: 0 },
  };
  return createFairWindow({
    quantum: QUANTUM,
    groups: Object.values(kinds),
    groupOf: ({ kind }) => kinds[kind],
    limitOf: windowOf,
    isEmpty: ({ ready }) => ready.length === 0,
    next({ ready }) {
      let delivery = ready.shift();
      while (delivery && !delivery.isHeld) delivery = ready.shift();
      return delivery;
    },
  });
}

function emptyDestination(key: string, kind: TargetKind): Destination {
  const turn = { isInRound: false, inUse: 0, pausedUntilMs: 0 };
  return { key, kind, ...turn, ready: [], held: new Set(), bytes: 0, failuresInRow: 0, parked: new Map(), fetching: new Map() };
}

/** A destination that fails is tried by fewer at once, and at last by one alone: it does not slow the others. */
function windowOf({ failuresInRow }: Destination): number {
  return Math.max(1, DESTINATION_WINDOW >> Math.min(failuresInRow, 10));
}
