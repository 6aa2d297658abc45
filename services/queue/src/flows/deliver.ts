import { decideDelivery, type Outcome } from '../domain/delivery-outcome.ts';
import type { Destinations } from '../domain/destinations.ts';
import type { Destination, PendingDelivery, TargetKind } from '../domain/types.ts';
import { waitsSince } from '../domain/waiting.ts';
import type { DestinationPorts, QueuePorts } from '../ports.ts';
import { deliverToDestination } from './deliver-to-destination.ts';
import type { PartitionOwner } from './partition-owner.ts';
import type { Partitions } from './partitions.ts';
import type { Wake } from './wake.ts';

/** Delivers committed ends to their destinations, until those have taken them or are given up. */
export type Deliverer = {
  /** Starts what may be tried now. Cheap when there is nothing. */
  startReady(): void;
  /** Fetches parked deliveries back from the view, where there is room. */
  fetchParked(): void;
  /** Starts nothing more; waits a little for what is under way, then leaves it to the next start. */
  stop(): Promise<void>;
  /** Attempts so far, by how they ended and by kind of destination. */
  readonly counts: Readonly<Record<Outcome['kind'], Readonly<Record<TargetKind, number>>>>;
};

export type DeliverParts = {
  readonly queue: QueuePorts;
  readonly ports: DestinationPorts;
  readonly partitions: Partitions;
  readonly destinations: Destinations;
  readonly deliveryWake: Wake;
};

const TIMEOUT_MS = 10_000;
const STOP_WITHIN_MS = 1_000;
/** Deliveries fetched at a time. */
const FETCH = 200;

export function createDeliverer(parts: DeliverParts): Deliverer {
  const { queue, partitions, destinations, deliveryWake } = parts;
  const none = (): Record<TargetKind, number> => ({ function: 0, topic: 0, webhook: 0 });
  const counts = { DELIVERED: none(), RETRY: none(), GIVE_UP: none() };
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  const leaving = new AbortController();

  const conclude = (delivery: PendingDelivery, outcome: Outcome): void => {
    const owner = partitions.get(delivery.partition);
    if (!delivery.isHeld || !owner.tenure) return; // its new owner delivers it again, if need be
    const nowMs = queue.clock.now();
    const endMs = nowMs - agedMs(queue, owner, delivery);
    const { attempted: concluded, retryMs } = decideDelivery(outcome, delivery.attempts, endMs, nowMs, queue.random());
    counts[retryMs === undefined && outcome.kind === 'RETRY' ? 'GIVE_UP' : outcome.kind][delivery.destination.kind]++;
    if (concluded) owner.concludeDelivery(delivery, concluded);
    if (retryMs !== undefined) destinations.retryAt(delivery, queue.clock.monotonic() + retryMs - nowMs);
  };
  const attempt = async (delivery: PendingDelivery): Promise<void> => {
    delivery.attempts++;
    agedMs(queue, partitions.get(delivery.partition), delivery); // measured from its first attempt on, where nothing else is known
    // A signal is made only for calls without a time limit of their own: the log, the registry and Kafka have one.
    const signal = (): AbortSignal => AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), leaving.signal]);
    const outcome = await deliverToDestination(parts, delivery, signal);
    destinations.release(delivery, outcome.kind === 'RETRY');
    if (leaving.signal.aborted && outcome.kind === 'RETRY') return; // it was cut off, and says nothing about the destination
    conclude(delivery, outcome);
    deliveryWake.request();
  };
  return {
    startReady() {
      if (stopping.signal.aborted) return;
      for (const delivery of destinations.dequeue(queue.clock.monotonic())) {
        const running = attempt(delivery).finally(() => underWay.delete(running));
        underWay.add(running);
      }
    },
    fetchParked() {
      for (const owner of partitions.all)
        for (const destination of owner.deliveries.runningLow())
          fetchPending(queue, owner, destination).then(deliveryWake.request, (error: unknown) => {
            const about = { partition: owner.partition, error: String(error) };
            queue.log.warn('could not fetch pending deliveries; trying again', about);
          });
    },
    async stop() {
      stopping.abort();
      const late = setTimeout(() => leaving.abort(), STOP_WITHIN_MS);
      await Promise.all(underWay);
      clearTimeout(late);
      leaving.abort();
    },
    counts,
  };
}

/** How long a delivery has been pending, by the monotonic clock; by the times of the log where its event ended before the tenure, or it was parked. */
function agedMs({ clock }: QueuePorts, { tenure }: PartitionOwner, delivery: PendingDelivery): number {
  const nowMs = clock.monotonic();
  delivery.sinceMs ??= waitsSince(delivery.folded, clock, tenure) ?? nowMs - Math.max(0, clock.now() - delivery.endMs);
  return nowMs - delivery.sinceMs;
}

/** Fetches parked deliveries of one destination and partition. */
async function fetchPending({ view }: QueuePorts, owner: PartitionOwner, destination: Destination): Promise<void> {
  const { partition, tenure, deliveries, writer } = owner;
  deliveries.beginFetch(destination);
  let isAll = false;
  const query = { partition, destination: destination.key, limit: FETCH, exceptEventIds: deliveries.heldIds(destination) };
  try {
    // The view must have seen what was concluded here, or it would be delivered again.
    const page = await view.listPendingDeliveries(query, { partition, endOffset: writer?.endOffset ?? 0 });
    if (owner.tenure !== tenure) return;
    isAll = page.pendingDeliveries.map((folded) => deliveries.unpark(folded)).every(Boolean) && !page.hasMore;
  } finally {
    deliveries.endFetch(destination, isAll);
  }
}
