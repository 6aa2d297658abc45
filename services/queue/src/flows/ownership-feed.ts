import type { WatchOwnershipResponse } from '@evenfall/contracts/queue/v1/queue_service';
import { pushable, type Pushable } from '@evenfall/rpc';
import type { Partitions } from './partitions.ts';

/** Notifies watchers of the partitions this replica owns, and since which epoch. */
export type OwnershipFeed = {
  /** Sends the partitions that are active now to all watchers. Call it after every change. */
  publish(): void;
  /** What is active, and all of it again after every change. */
  watch(signal: AbortSignal): AsyncIterable<WatchOwnershipResponse>;
  /** Ends the watches. */
  close(): void;
};

export function createOwnershipFeed({ all }: Partitions): OwnershipFeed {
  const watchers = new Set<Pushable<WatchOwnershipResponse>>();
  const current = (): WatchOwnershipResponse => ({
    partitionCount: all.length,
    partitions: all.flatMap(({ isActive, partition, tenure }) => (isActive && tenure ? [{ partition, epoch: BigInt(tenure.epoch) }] : [])),
  });
  const end = (watcher: Pushable<WatchOwnershipResponse>): void => {
    watchers.delete(watcher);
    watcher.end();
  };
  return {
    publish() {
      for (const watcher of watchers) watcher.push(current());
    },
    watch(signal) {
      const watcher = pushable<WatchOwnershipResponse>(() => watchers.delete(watcher));
      watchers.add(watcher);
      watcher.push(current());
      signal.addEventListener('abort', () => end(watcher), { once: true });
      return watcher;
    },
    close: () => [...watchers].forEach(end),
  };
}
