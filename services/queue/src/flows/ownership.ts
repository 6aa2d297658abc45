import type { WatchOwnershipResponse } from '@evenfall/contracts/queue/v1/queue_service';
import { pushable, type Pushable } from '@evenfall/rpc';

/** The partitions this replica owns, each since when: who asks is told, and told again when it changes. */
export type Ownership = {
  /** Offset at which the ownership of a partition began; undefined if it is somebody else's. */
  epochOf(partition: number): number | undefined;
  begin(epochs: ReadonlyMap<number, number>): void;
  end(partitions: readonly number[]): void;
  all(): ReadonlyMap<number, number>;
  /** What is owned, and all of it again after every change. */
  watch(signal: AbortSignal): AsyncIterable<WatchOwnershipResponse>;
  /** Ends the watches. */
  close(): void;
};

export function createOwnership(partitionCount: number): Ownership {
  const owned = new Map<number, number>();
  const watchers = new Set<Pushable<WatchOwnershipResponse>>();
  const snapshot = (): WatchOwnershipResponse => ({
    partitionCount,
    partitions: [...owned].map(([partition, epoch]) => ({ partition, epoch: BigInt(epoch) })),
  });
  const tell = (): void => watchers.forEach((watcher) => watcher.push(snapshot()));
  return {
    epochOf: (partition) => owned.get(partition),
    begin(epochs) {
      for (const [partition, epoch] of epochs) owned.set(partition, epoch);
      tell();
    },
    end(partitions) {
      for (const partition of partitions) owned.delete(partition);
      tell();
    },
    all: () => owned,
    watch(signal) {
      const watcher = pushable<WatchOwnershipResponse>(() => watchers.delete(watcher));
      watchers.add(watcher);
      watcher.push(snapshot());
      signal.addEventListener('abort', () => leave(watcher), { once: true });
      return watcher;
    },
    close: () => [...watchers].forEach(leave),
  };

  function leave(watcher: Pushable<WatchOwnershipResponse>): void {
    watchers.delete(watcher);
    watcher.end();
  }
}
