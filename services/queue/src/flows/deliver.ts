import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { decide, evolve, owedDestination } from '@evenfall/event-model';
import { isRefusal } from '@evenfall/errors';
import { createDeliveries, type Deliveries, type Owed, type Route, type TargetKind } from '../domain/deliveries.ts';
import { judge, type Outcome } from '../domain/delivery-outcome.ts';
import type { Lanes } from '../domain/lanes.ts';
import { recordOf } from '../domain/record.ts';
import { waitsSince } from '../domain/waiting.ts';
import type { DestinationPorts, QueuePorts } from '../ports.ts';
import type { Ownership } from './ownership.ts';
import { tellDestination } from './tell-destination.ts';
import type { Writer } from './writer.ts';

/** Tells destinations of ends that are in the log, until they have taken it or are given up. */
export type Deliverer = {
  /** Takes in the pending delivery of an ended event: its end counts since just now, or did before this tenure. */
  owe(stored: StoredEvent, partition: number, isNew: boolean): void;
  /** Starts what may be tried now. Cheap when there is nothing. */
  pump(): void;
  /** Fetches back from the view what there was no room for, where there is some now. */
  fetchWhereLow(): void;
  /** Told that a record about a delivery counts. */
  recorded(owed: Owed, record: EventRecord): void;
  /** Lets go of everything of these partitions. */
  drop(partitions: readonly number[]): void;
  /** Starts nothing more; waits a little for what is under way, then leaves it to the next start. */
  stop(): Promise<void>;
  /** Attempts so far, by how they ended and by kind of destination. */
  readonly counts: Readonly<Record<Outcome['kind'], Readonly<Record<TargetKind, number>>>>;
  /** What is owed, and since when the oldest of it in memory, in milliseconds since the epoch. */
  readonly size: Deliveries['size'];
  readonly oldestEndMs: Deliveries['oldestEndMs'];
};

export type DeliverPorts = {
  readonly queue: QueuePorts;
  readonly destinations: DestinationPorts;
  readonly ownership: Ownership;
  readonly writer: Writer;
  /** Whether the partitions are surely ours. */
  readonly isStanding: () => boolean;
  /** The owner's, for the events that are made. */
  readonly lanes: () => Lanes;
};

const TIMEOUT_MS = 10_000;
const STOP_WITHIN_MS = 1_000;
/** What is fetched at a time. */
const FETCH = 200;

export function createDeliverer(ports: DeliverPorts): Deliverer {
  const { queue, ownership, writer } = ports;
  const deliveries = createDeliveries();
  const none = (): Record<TargetKind, number> => ({ function: 0, topic: 0, webhook: 0 });
  const counts = { DELIVERED: none(), RETRY: none(), GIVE_UP: none() };
  const underWay = new Set<Promise<void>>();
  const stopping = new AbortController();
  const leaving = new AbortController();
  let kicked = false;

  /** How long it has been pending, by a clock that nobody sets; by the times of the log where it ended before, or was not kept in memory. */
  const agedMs = (owed: Owed): number => {
    const nowMs = queue.clock.monotonic();
    owed.sinceMs ??=
      waitsSince(owed.stored, queue.clock, ownership.tenureOf(owed.partition)) ?? nowMs - Math.max(0, queue.clock.now() - owed.endMs);
    return nowMs - owed.sinceMs;
  };
  const conclude = (owed: Owed, outcome: Outcome): void => {
    const nowMs = queue.clock.now();
    const writerId = ownership.tenureOf(owed.partition)?.writerId;
    if (!owed.isHeld || writerId === undefined) return; // its new owner tells it again, if need be
    const { concluded, againMs } = judge(outcome, owed.attempts, nowMs - agedMs(owed), nowMs, queue.random());
    counts[againMs === undefined && outcome.kind === 'RETRY' ? 'GIVE_UP' : outcome.kind][owed.route.kind]++;
    const changes = concluded ? decide(owed.stored, { kind: 'DELIVERY_CONCLUDED', concluded }, nowMs) : [];
    for (const change of isRefusal(changes) ? [] : changes) {
      const record = recordOf(owed.id, 0, change, nowMs, writerId);
      owed.stored = evolve(owed.stored, record) ?? owed.stored;
      writer.add(owed, record);
    }
    if (againMs !== undefined) deliveries.again(owed, queue.clock.monotonic() + againMs - nowMs);
  };
  const attempt = async (owed: Owed): Promise<void> => {
    owed.attempts++;
    agedMs(owed); // measured from its first attempt on, where nothing else is known
    // Made by those who wait for the world: the log, the registry and Kafka have deadlines of their own.
    const signal = (): AbortSignal => AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), leaving.signal]);
    const outcome = await tellDestination({ queue, destinations: ports.destinations, lanes: ports.lanes() }, owed, signal);
    deliveries.attempted(owed, outcome.kind === 'RETRY');
    if (leaving.signal.aborted && outcome.kind === 'RETRY') return; // it was cut off, and says nothing about the destination
    conclude(owed, outcome);
    kick();
  };
  const pump = (): void => {
    kicked = false;
    if (stopping.signal.aborted || !ports.isStanding()) return;
    for (const owed of deliveries.take(queue.clock.monotonic())) {
      const running = attempt(owed).finally(() => underWay.delete(running));
      underWay.add(running);
    }
  };
  /** Soon, and once for all that end in one flush; not now, in the middle of whatever told of the end. */
  const kick = (): void => {
    if (kicked) return;
    kicked = true;
    setImmediate(pump);
  };
  const fetch = async (route: Route, partition: number): Promise<void> => {
    const tenure = ownership.tenureOf(partition);
    deliveries.fetching(route, partition);
    let isAll = false;
    const exceptEventIds = [...route.held].filter((owed) => owed.partition === partition).map(({ id }) => id);
    try {
      // The view must have seen what was concluded here, or it would be told again.
      const after = { partition, endOffset: writer.endOffset(partition) };
      const { owed, hasMore } = await queue.view.listOwed({ partition, destination: route.key, limit: FETCH, exceptEventIds }, after);
      if (ownership.tenureOf(partition) !== tenure) return;
      isAll = owed.map((stored) => deliveries.unpark(stored, partition)).every(Boolean) && !hasMore;
    } finally {
      deliveries.fetched(route, partition, isAll);
    }
    kick();
  };

  return {
    owe(stored, partition, isNew) {
      if (!owedDestination(stored)) return;
      deliveries.add(stored, partition, isNew ? queue.clock.monotonic() : undefined);
      kick();
    },
    pump,
    fetchWhereLow() {
      for (const { route, partition } of deliveries.low()) {
        void fetch(route, partition).catch((error: unknown) => {
          queue.log.warn('could not fetch what is owed to a destination; trying again', { partition, error: String(error) });
        });
      }
    },
    recorded(owed, { change }) {
      if (change?.$case === 'deliveryConcluded' && !owedDestination(owed.stored)) deliveries.remove(owed);
    },
    drop: deliveries.drop,
    async stop() {
      stopping.abort();
      const late = setTimeout(() => leaving.abort(), STOP_WITHIN_MS);
      await Promise.all(underWay);
      clearTimeout(late);
      leaving.abort();
    },
    counts,
    get size() {
      return deliveries.size;
    },
    oldestEndMs: deliveries.oldestEndMs,
  };
}
