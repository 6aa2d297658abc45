import type { WatchOwnershipResponse } from '@evenfall/contracts/queue/v1/queue_service';
import { pushable, type Pushable } from '@evenfall/rpc';

/** An ownership of a partition, from its record in the log to the next one's. */
export type Tenure = {
  /** What its records carry: of this tenure alone, not of an earlier one of the same replica. */
  readonly writerId: string;
  /** Offset of its record; rises from tenure to tenure, whoever holds them. */
  readonly epoch: number;
  /** When that record was in the log: by the monotonic clock of the owner, and by the log's own, once it was read back and if the log says it. */
  readonly begunMs: number;
  begunLogMs?: number | undefined;
};

/** The partitions this replica owns, each since when: who asks is told, and told again when it changes. */
export type Ownership = {
  /** A name for the writer of the next tenure. */
  newWriterId(): string;
  /** The tenure of a partition that is held, or being recovered; undefined if it is somebody else's. */
  tenureOf(partition: number): Tenure | undefined;
  /** Whether a partition is held and everything before the tenure is known: decisions may be made. */
  isLive(partition: number): boolean;
  begin(partition: number, tenure: Tenure): void;
  /** Told when the log took the record of a tenure, by its own clock. */
  dated(partition: number, begunLogMs: number | undefined): void;
  goLive(partition: number): void;
  /** Told that the scheduler has taken a claim in: from now on it is known what of the partition is on its way. */
  confirm(partition: number, epoch: number): void;
  /** Whether that is known. Until then a predecessor may have dispatched what looks as if it only waited. */
  isConfirmed(partition: number): boolean;
  end(partitions: readonly number[]): void;
  /** Partitions that are live, and their epochs. */
  live(): ReadonlyMap<number, number>;
  /** What is live, and all of it again after every change. */
  watch(signal: AbortSignal): AsyncIterable<WatchOwnershipResponse>;
  /** Ends the watches. */
  close(): void;
};

export function createOwnership(partitionCount: number, replicaId: string): Ownership {
  const tenures = new Map<number, Tenure>();
  const live = new Map<number, number>();
  const confirmed = new Set<number>();
  const watchers = new Set<Pushable<WatchOwnershipResponse>>();
  let count = 0;
  const snapshot = (): WatchOwnershipResponse => ({
    partitionCount,
    partitions: [...live].map(([partition, epoch]) => ({ partition, epoch: BigInt(epoch) })),
  });
  const tell = (): void => watchers.forEach((watcher) => watcher.push(snapshot()));
  const leave = (watcher: Pushable<WatchOwnershipResponse>): void => {
    watchers.delete(watcher);
    watcher.end();
  };
  return {
    newWriterId: () => `${replicaId}-${++count}`,
    tenureOf: (partition) => tenures.get(partition),
    isLive: (partition) => live.has(partition),
    begin: (partition, tenure) => void tenures.set(partition, tenure),
    dated(partition, begunLogMs) {
      const tenure = tenures.get(partition);
      if (tenure) tenure.begunLogMs = begunLogMs; // the same object: those who wait compare it
    },
    goLive(partition) {
      const tenure = tenures.get(partition);
      if (!tenure) return;
      live.set(partition, tenure.epoch);
      tell();
    },
    confirm(partition, epoch) {
      if (live.get(partition) === epoch) confirmed.add(partition);
    },
    isConfirmed: (partition) => confirmed.has(partition),
    end(partitions) {
      for (const partition of partitions) {
        confirmed.delete(partition);
        tenures.delete(partition);
        live.delete(partition);
      }
      tell();
    },
    live: () => live,
    watch(signal) {
      const watcher = pushable<WatchOwnershipResponse>(() => watchers.delete(watcher));
      watchers.add(watcher);
      watcher.push(snapshot());
      signal.addEventListener('abort', () => leave(watcher), { once: true });
      return watcher;
    },
    close: () => [...watchers].forEach(leave),
  };
}
