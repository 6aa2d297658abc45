import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { pendingDestination } from '@evenfall/event-model';
import type { Destinations } from './destinations.ts';
import type { Destination, PendingDelivery, Target } from './types.ts';

/** The pending deliveries of one partition, in memory within bounds; the others are parked. */
export type PendingDeliveries = {
  /** Adds the pending delivery of an ended event, if it has one; parks it if there is no room, or others are parked before it. Answers whether it had. */
  add(folded: FoldedEvent, sinceMs?: number): boolean;
  /** The same for one that was parked; false if there is no room, and it stays parked. */
  unpark(folded: FoldedEvent): boolean;
  /** Removes one that is delivered or given up. */
  remove(delivery: PendingDelivery): void;
  /** Destinations with parked deliveries and room for some. */
  runningLow(): Destination[];
  /** Notes that some of a destination are being fetched, and that they were: `isAll` if the view has no more, and all of it was added. */
  beginFetch(destination: Destination): void;
  endFetch(destination: Destination, isAll: boolean): void;
  /** Ids of those of a destination that are in memory. */
  heldIds(destination: Destination): string[];
  /** Drops everything: the partition has another owner. */
  clear(): void;
};

export function createPendingDeliveries(destinations: Destinations, partition: number): PendingDeliveries {
  /** Those with parked deliveries of this partition. */
  const withParked = new Set<Destination>();
  const clearParked = (destination: Destination): void => {
    withParked.delete(destination);
    destinations.clearParked(destination, partition);
  };
  const hold = (target: Target, folded: FoldedEvent, sinceMs?: number): void => {
    const { event, payload } = folded;
    if (!event) return;
    destinations.hold({
      id: event.id,
      partition,
      destination: destinations.get(target),
      target,
      bytes: payload.length + event.result.length + event.error.length,
      endMs: event.endTime?.getTime() ?? 0,
      sinceMs,
      folded,
      attempts: event.deliveries[0]?.attemptCount ?? 0,
      isHeld: true,
    });
  };
  return {
    add(folded, sinceMs) {
      const target = pendingDestination(folded);
      if (!target) return false;
      const destination = destinations.get(target);
      if (!destination.parked.has(partition) && destinations.hasRoom(destination, 1)) {
        hold(target, folded, sinceMs);
        return true;
      }
      destinations.countParked(destination, partition, 1);
      withParked.add(destination);
      const fetching = destination.fetching.get(partition);
      if (fetching) fetching.isGrowing = true;
      return true;
    },
    unpark(folded) {
      const target = pendingDestination(folded);
      if (!target) return true;
      const destination = destinations.get(target);
      if (!destinations.hasRoom(destination, 1)) return false;
      if (destination.parked.has(partition)) destinations.countParked(destination, partition, -1);
      hold(target, folded);
      return true;
    },
    remove(delivery) {
      destinations.drop(delivery);
      destinations.dropIfEmpty(delivery.destination);
    },
    runningLow() {
      if (withParked.size === 0) return [];
      return [...withParked].filter((one) => !one.fetching.has(partition) && destinations.hasRoom(one, 0.5));
    },
    beginFetch: ({ fetching }) => void fetching.set(partition, { isGrowing: false }),
    endFetch(destination, isAll) {
      const isGrowing = destination.fetching.get(partition)?.isGrowing ?? false;
      destination.fetching.delete(partition);
      if (isAll && !isGrowing) clearParked(destination);
      destinations.dropIfEmpty(destination);
    },
    heldIds: ({ held }) => [...held].filter((delivery) => delivery.partition === partition).map(({ id }) => id),
    clear() {
      for (const destination of [...destinations.all()]) {
        for (const delivery of [...destination.held]) if (delivery.partition === partition) destinations.drop(delivery);
        destination.ready = destination.ready.filter(({ isHeld }) => isHeld);
        clearParked(destination);
        destinations.dropIfEmpty(destination);
      }
    },
  };
}
