import { faultsOf } from '../domain/health.ts';
import type { QueuePorts } from '../ports.ts';
import type { Partitions } from './partitions.ts';

/** Notes since when something goes wrong. */
export type Health = {
  /** Partitions are being taken over. */
  takingOver(partitions: readonly number[]): void;
  /** They run. */
  running(partitions: readonly number[]): void;
  /** They were lost; tried again within moments, they are still being taken over. */
  lost(partitions: readonly number[]): void;
  /** A message of the scheduler arrived, or the stream to it broke. */
  streamReceived(): void;
  streamBroken(): void;
  /** What keeps accepted events from running, for people; empty if nothing does. */
  faults(): readonly string[];
};

/** A reader that failed in the middle of a takeover loses its partitions, and owns them again after a pause. */
const AGAIN_WITHIN_MS = 10_000;

export function createHealth({ clock }: Pick<QueuePorts, 'clock'>, partitions: Partitions): Health {
  const taking = new Map<number, { readonly sinceMs: number; readonly lostMs: number | undefined }>();
  let brokenSinceMs: number | undefined;
  const current = (nowMs: number): ReadonlyMap<number, number> => {
    for (const [partition, { lostMs }] of taking) if (lostMs !== undefined && nowMs - lostMs > AGAIN_WITHIN_MS) taking.delete(partition);
    return new Map([...taking].map(([partition, { sinceMs }]) => [partition, sinceMs]));
  };
  return {
    takingOver(partitions) {
      const nowMs = clock.monotonic();
      const before = current(nowMs);
      for (const partition of partitions) taking.set(partition, { sinceMs: before.get(partition) ?? nowMs, lostMs: undefined });
    },
    running(partitions) {
      for (const partition of partitions) taking.delete(partition);
    },
    lost(partitions) {
      for (const partition of partitions) {
        const one = taking.get(partition);
        if (one) taking.set(partition, { ...one, lostMs: clock.monotonic() });
      }
    },
    streamReceived() {
      brokenSinceMs = undefined;
    },
    streamBroken() {
      brokenSinceMs ??= clock.monotonic();
    },
    faults() {
      const nowMs = clock.monotonic();
      // Without a partition there is nothing to send, and the scheduler answers nothing.
      const broken = partitions.all.some(({ isActive }) => isActive) ? brokenSinceMs : undefined;
      return faultsOf(
        { failing: partitions.all.flatMap(({ writer }) => writer?.failing ?? []), takingOver: current(nowMs), brokenSinceMs: broken },
        nowMs,
      );
    },
  };
}
