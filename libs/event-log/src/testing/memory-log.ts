import { setImmediate as turn, setTimeout as delay } from 'node:timers/promises';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { refuse } from '@evenfall/errors';
import { encodeRecord, RecordsRefused } from '../refused.ts';
import type { EventLog, LogBatch, Subscriber } from '../port.ts';

/** An event log in memory, which fails when the test wants it. */
export type MemoryLog = EventLog & {
  /** Everything of one partition. */
  records(partition: number): readonly EventRecord[];
  /** When each of them was appended, by the log's own clock; undefined where it has none. */
  logTimesMs(partition: number): readonly (number | undefined)[];
  /** Appends that fail from now on; they leave nothing. */
  failNext(count: number): void;
  /** Refuses for good, from now on, every append that holds such a record. */
  refuse(isRefused: (record: EventRecord) => boolean): void;
  /** Keeps those who read now from reading on, as a process that is paused; answers how to let them. */
  pauseReaders(): () => void;
  /** Appends that were tried. */
  readonly appends: number;
};

/** `clock` is the log's own, in milliseconds since 1970; without one it does not say when it took records. */
export function memoryLog(partitionCount = 4, clock?: () => number): MemoryLog {
  const partitions: EventRecord[][] = Array.from({ length: partitionCount }, () => []);
  const times: (number | undefined)[][] = partitions.map(() => []);
  const rouse = new Set<() => void>();
  const pauses = new Set<{ paused: boolean }>();
  let failing = 0;
  let appends = 0;
  let isRefused: (record: EventRecord) => boolean = () => false;
  return {
    partitionCount,
    get appends() {
      return appends;
    },
    records: (partition) => partitions[partition] ?? [],
    logTimesMs: (partition) => times[partition] ?? [],
    failNext(count) {
      failing = count;
    },
    refuse(those) {
      isRefused = those;
    },
    pauseReaders() {
      const held = [...pauses];
      for (const one of held) one.paused = true;
      return () => {
        for (const one of held) one.paused = false;
        for (const one of rouse) one();
      };
    },
    async append(partition, records) {
      appends++;
      await turn();
      if (failing-- > 0) throw refuse('LOG_UNAVAILABLE');
      for (const record of records) encodeRecord(record);
      if (records.some(isRefused)) throw new RecordsRefused('REFUSED', 'it is played so');
      const kept = partitions[partition] ?? [];
      kept.push(...records);
      times[partition]?.push(...records.map(() => clock?.()));
      for (const one of rouse) one();
      return kept.length;
    },
    endOffsets: async () => new Map(partitions.map((records, partition) => [partition, records.length])),
    subscribe(subscriber: Subscriber) {
      let stopped = false;
      const pause = { paused: false };
      pauses.add(pause);
      let wake: (() => void) | undefined;
      const called = (): void => wake?.();
      rouse.add(called);
      const unreadBatches = (offsets: ReadonlyMap<number, number>): LogBatch[] =>
        partitions.flatMap((records, partition) => {
          const firstOffset = offsets.get(partition) ?? 0;
          if (records.length <= firstOffset || pause.paused) return [];
          const appendTimesMs = times[partition]?.slice(firstOffset).map((timeMs) => timeMs ?? 0) ?? [];
          return [{ partition, firstOffset, records: records.slice(firstOffset), ...(clock ? { appendTimesMs } : {}) }];
        });
      const woken = (): Promise<void> => new Promise((resolve) => (wake = resolve));
      const all = partitions.map((_, partition) => partition);
      const reading = readUntilStopped(subscriber, all, { isStopped: () => stopped, unreadBatches, woken });
      return {
        applied: () => undefined,
        isOwner: () => true,
        again: () => undefined, // nothing that reads it here can lose what it had
        async stop() {
          stopped = true;
          called();
          await reading;
          rouse.delete(called);
          pauses.delete(pause);
        },
      };
    },
    close: async () => undefined,
  };
}

type Reading = {
  readonly isStopped: () => boolean;
  readonly unreadBatches: (offsets: ReadonlyMap<number, number>) => LogBatch[];
  /** Resolves when there may be something to read. */
  readonly woken: () => Promise<void>;
};

async function readUntilStopped(
  subscriber: Subscriber,
  all: readonly number[],
  { isStopped, unreadBatches, woken }: Reading,
): Promise<void> {
  let owned: ReadonlyMap<number, number> | undefined;
  while (!owned && !isStopped()) {
    owned = await subscriber.owned(all).catch(() => undefined);
    if (!owned) await delay(5);
  }
  const offsets = new Map(owned);
  while (!isStopped()) {
    const next = woken();
    const batches = unreadBatches(offsets);
    for (const { partition, firstOffset, records } of batches) offsets.set(partition, firstOffset + records.length);
    if (batches.length > 0) await subscriber.apply(batches);
    else await next;
  }
}
