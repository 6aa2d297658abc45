import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { destinationKey, owedDestination } from '@evenfall/event-model';
import { type DueQueue, dueQueue } from '@evenfall/time';

/** Where something is told. */
export type Target = NonNullable<ReturnType<typeof owedDestination>>;
export type TargetKind = Target['$case'];
export const TARGET_KINDS: readonly TargetKind[] = ['function', 'topic', 'webhook'];

/** An ended event whose destination is still to be told. */
export type Owed = {
  readonly id: string;
  readonly partition: number;
  readonly route: Route;
  readonly target: Target;
  readonly bytes: number;
  readonly endMs: number;
  /** Since when it is pending, monotonic; undefined before the first attempt of one that ended before this owner's time, or was parked. */
  sinceMs: number | undefined;
  stored: StoredEvent;
  /** Attempts that were begun. */
  attempts: number;
  /** Whether it is still ours to tell: not once it was told, given up, or belongs to somebody else. */
  isHeld: boolean;
};

/** One destination, and what is owed to it. */
export type Route = {
  readonly key: string;
  readonly kind: TargetKind;
  /** May be tried now, in order. */
  ready: Owed[];
  readonly held: Set<Owed>;
  bytes: number;
  underWay: number;
  /** Attempts that failed since the last that did not: the more, the fewer are tried at once. */
  failuresInRow: number;
  /** How many are in the view alone, by partition; one stands here until the view has said that there are no more. */
  readonly parked: Map<number, number>;
  /** Partitions something is being fetched back of, and whether more was parked there meanwhile. */
  readonly fetching: Map<number, { isGrowing: boolean }>;
  inRound: boolean;
};

/** Attempts at once of one kind, of one destination, and what a destination gets before it is the next one's turn. */
const KIND_WINDOW = 256;
const ROUTE_WINDOW = 32;
const QUANTUM = 4;
/** What one destination keeps in memory, and all of them; above the latter a destination keeps little. The rest is in the view. */
const ROUTE_HELD = 1_000;
const ROUTE_BYTES = 8 * 1024 * 1024;
const TOTAL_HELD = 10_000;
const TOTAL_BYTES = 64 * 1024 * 1024;
const CROWDED_HELD = 16;

/** Everything that is owed in the owned partitions, within bounds; who may be told now. */
export type Deliveries = {
  /** Takes in the pending delivery of an ended event, since then; parks it if there is no room, or others are parked before it. */
  add(stored: StoredEvent, partition: number, sinceMs?: number): void;
  /** The same for one that was parked; false if there is no room, and it stays parked. */
  unpark(stored: StoredEvent, partition: number): boolean;
  /** Notes that something is being fetched back, and that it was: `isAll` if the view has no more, and all of it was taken in. */
  fetching(route: Route, partition: number): void;
  fetched(route: Route, partition: number, isAll: boolean): void;
  /** Takes what may be tried now, destination by destination in turn. */
  take(nowMs: number): Owed[];
  /** Notes that an attempt is over. */
  attempted(owed: Owed, isFailure: boolean): void;
  /** Tries again then. */
  again(owed: Owed, dueMs: number): void;
  remove(owed: Owed): void;
  /** Lets go of everything of these partitions. */
  drop(partitions: readonly number[]): void;
  /** Destinations with room for what is parked. */
  low(): { readonly route: Route; readonly partition: number }[];
  /** All that is owed, in memory or not. */
  readonly size: number;
  /** When the event ended that has been waiting longest in memory. */
  oldestEndMs(): number | undefined;
};

export function createDeliveries(): Deliveries {
  const routes = new Map<string, Route>();
  const due: DueQueue<Owed> = dueQueue();
  const underWay: Record<TargetKind, number> = { function: 0, topic: 0, webhook: 0 };
  const round: Route[] = [];
  let held = 0;
  let bytes = 0;
  let parked = 0;

  const routeOf = (target: Target): Route => {
    const key = destinationKey(target);
    let route = routes.get(key);
    if (!route) {
      const empty = { ready: [], held: new Set<Owed>(), bytes: 0, underWay: 0, failuresInRow: 0 };
      routes.set(key, (route = { key, kind: target.$case, ...empty, parked: new Map(), fetching: new Map(), inRound: false }));
    }
    return route;
  };
  const dropIfEmpty = (route: Route): void => {
    if (route.held.size === 0 && route.parked.size === 0 && route.fetching.size === 0 && route.underWay === 0) routes.delete(route.key);
  };
  const hasRoom = (route: Route, share: number): boolean => {
    const isCrowded = held >= TOTAL_HELD || bytes >= TOTAL_BYTES;
    const most = (isCrowded ? CROWDED_HELD : ROUTE_HELD) * share;
    return route.held.size < most && (route.bytes < ROUTE_BYTES * share || route.held.size === 0);
  };
  const enter = (route: Route): void => {
    if (route.inRound || route.ready.length === 0 || route.underWay >= windowOf(route)) return;
    route.inRound = true;
    round.push(route);
  };
  const hold = (route: Route, target: Target, stored: StoredEvent, partition: number, sinceMs?: number): void => {
    const { event, payload } = stored;
    if (!event) return;
    const size = payload.length + event.result.length + event.error.length;
    const attempts = event.deliveries[0]?.attemptCount ?? 0;
    const endMs = event.endTime?.getTime() ?? 0;
    const owed: Owed = { id: event.id, partition, route, target, bytes: size, endMs, sinceMs, stored, attempts, isHeld: true };
    route.held.add(owed);
    route.bytes += size;
    held++;
    bytes += size;
    route.ready.push(owed);
    enter(route);
  };
  const count = (route: Route, partition: number, by: number): void => {
    route.parked.set(partition, (route.parked.get(partition) ?? 0) + by);
    parked += by;
  };
  const uncount = (route: Route, partition: number): void => {
    parked -= route.parked.get(partition) ?? 0;
    route.parked.delete(partition);
  };
  const forget = (owed: Owed): void => {
    if (!owed.isHeld) return;
    owed.isHeld = false;
    owed.route.held.delete(owed);
    owed.route.bytes -= owed.bytes;
    held--;
    bytes -= owed.bytes;
  };

  return {
    get size() {
      return held + parked;
    },
    add(stored, partition, sinceMs) {
      const target = owedDestination(stored);
      if (!target) return;
      const route = routeOf(target);
      if (!route.parked.has(partition) && hasRoom(route, 1)) {
        hold(route, target, stored, partition, sinceMs);
        return;
      }
      count(route, partition, 1);
      const fetching = route.fetching.get(partition);
      if (fetching) fetching.isGrowing = true;
    },
    unpark(stored, partition) {
      const target = owedDestination(stored);
      if (!target) return true;
      const route = routeOf(target);
      if (!hasRoom(route, 1)) return false;
      if (route.parked.has(partition)) count(route, partition, -1);
      hold(route, target, stored, partition);
      return true;
    },
    fetching: (route, partition) => void route.fetching.set(partition, { isGrowing: false }),
    fetched(route, partition, isAll) {
      const isGrowing = route.fetching.get(partition)?.isGrowing ?? false;
      route.fetching.delete(partition);
      if (isAll && !isGrowing) uncount(route, partition);
      dropIfEmpty(route);
    },
    take(nowMs) {
      for (const owed of due.takeDue(nowMs)) {
        if (!owed.isHeld) continue;
        owed.route.ready.push(owed);
        enter(owed.route);
      }
      const taken: Owed[] = [];
      const later: Route[] = [];
      for (let route = round.shift(); route; route = round.shift()) {
        route.inRound = false;
        for (let i = 0; i < QUANTUM && route.underWay < windowOf(route) && underWay[route.kind] < KIND_WINDOW;) {
          const owed = route.ready.shift();
          if (!owed) break;
          if (!owed.isHeld) continue;
          route.underWay++;
          underWay[route.kind]++;
          taken.push(owed);
          i++;
        }
        if (underWay[route.kind] >= KIND_WINDOW) later.push(route);
        else enter(route);
      }
      for (const route of later) enter(route);
      return taken;
    },
    attempted({ route }, isFailure) {
      route.underWay--;
      underWay[route.kind]--;
      route.failuresInRow = isFailure ? route.failuresInRow + 1 : 0;
      enter(route);
      dropIfEmpty(route);
    },
    again: (owed, dueMs) => due.push(dueMs, owed),
    remove(owed) {
      forget(owed);
      dropIfEmpty(owed.route);
    },
    drop(partitions) {
      for (const route of [...routes.values()]) {
        for (const owed of [...route.held]) if (partitions.includes(owed.partition)) forget(owed);
        route.ready = route.ready.filter((owed) => owed.isHeld);
        for (const partition of partitions) uncount(route, partition);
        dropIfEmpty(route);
      }
    },
    low() {
      const found: { route: Route; partition: number }[] = [];
      for (const route of routes.values()) {
        if (!hasRoom(route, 0.5)) continue;
        for (const partition of route.parked.keys()) if (!route.fetching.has(partition)) found.push({ route, partition });
      }
      return found;
    },
    oldestEndMs() {
      let oldest: number | undefined;
      for (const route of routes.values()) for (const { endMs } of route.held) oldest = Math.min(oldest ?? endMs, endMs);
      return oldest;
    },
  };
}

/** A destination that fails is tried by fewer at once, and at last by one alone: it costs the others nothing. */
function windowOf({ failuresInRow }: Route): number {
  return Math.max(1, ROUTE_WINDOW >> Math.min(failuresInRow, 10));
}
