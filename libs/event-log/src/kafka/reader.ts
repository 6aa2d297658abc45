import { createBackoff, delay } from '@evenfall/time';
import { from as batchFrom } from '../decode.ts';
import type { LogBatch, Subscriber } from '../port.ts';
import type { Bounds } from './ends.ts';
import { RETRY } from '../retry.ts';

/** What one `apply` gets at most, but for a batch that is larger by itself. */
const APPLY_RECORDS = 2_000;
const APPLY_BYTES = 16 * 1024 * 1024;
/** What waits of one partition for `apply`; beyond it nothing more is fetched until half of it is gone. */
const WAITING_RECORDS = 8_000;
const WAITING_BYTES = 16 * 1024 * 1024;

/** Where records come from: a consumer, as far as the reader moves it. */
export type Fetching = {
  seek(partition: number, offset: number): void;
  pause(partitions: readonly number[]): void;
  resume(partitions: readonly number[]): void;
};

export type ReaderOptions = {
  readonly subscriber: Subscriber;
  readonly bounds: () => Promise<ReadonlyMap<number, Bounds>>;
  /** Whether the partitions are surely ours; while they are not, nothing is applied. */
  readonly isCurrent: () => boolean;
  readonly onFailure: (error: unknown, doing: string) => void;
};

/** A partition that the subscriber owns. A new object for every ownership. */
type Held = {
  /** Offset to be fetched next; undefined until the subscriber has said where it begins. */
  next: number | undefined;
  waiting: { readonly batch: LogBatch; readonly bytes: number }[];
  waitingRecords: number;
  waitingBytes: number;
  isFull: boolean;
};

/**
 * Hands partitions and records to one subscriber: one call at a time, whatever the group does meanwhile. What is assigned may change at any
 * moment; `lost` is said at once, `owned` in its turn, and what a call answers for partitions that were lost meanwhile counts for nothing.
 */
export function createReader({ subscriber, bounds, isCurrent, onFailure }: ReaderOptions) {
  const stopping = new AbortController();
  const held = new Map<number, Held>();
  let assigned: ReadonlySet<number> = new Set();
  let fetching: Fetching | undefined;
  let fault: Error | undefined;
  let rouse: (() => void) | undefined;
  const doing = `applying the event log (${subscriber.name})`;

  const wake = (): void => rouse?.();
  const lose = (partitions: readonly number[]): void => {
    for (const partition of partitions) held.delete(partition);
    if (partitions.length > 0) subscriber.lost([...partitions].sort((a, b) => a - b));
  };
  const own = async (partitions: readonly number[]): Promise<void> => {
    const dequeued = partitions.map((partition): [number, Held] => [
      partition,
      { next: undefined, waiting: [], waitingRecords: 0, waitingBytes: 0, isFull: false },
    ]);
    for (const [partition, one] of dequeued) held.set(partition, one);
    try {
      const cursors = await subscriber.owned(partitions);
      const ends = await bounds();
      const still = dequeued.filter(([partition, one]) => held.get(partition) === one);
      for (const [partition, one] of still) {
        const cursor = cursors.get(partition);
        if (cursor === undefined || cursor === Number.MAX_SAFE_INTEGER) continue; // nothing of it is wanted
        one.next = startOf(partition, cursor, ends.get(partition));
        fetching?.seek(partition, one.next);
        fetching?.resume([partition]);
      }
    } finally {
      // Partitions lost during `owned`: the subscriber may have gone on to take them over.
      const gone = dequeued.filter(([partition]) => !held.has(partition)).map(([partition]) => partition);
      if (gone.length > 0) subscriber.lost(gone);
    }
  };
  const startOf = (partition: number, cursor: number, ends: Bounds | undefined): number => {
    if (!ends) return cursor;
    const start = Math.min(Math.max(cursor, ends.low), ends.high);
    const where = `partition ${partition} (${subscriber.name})`;
    if (cursor > ends.high) {
      onFailure(new Error(`The log ends at ${ends.high}, before ${cursor}, which ${where} has applied: it has lost records`), doing);
    } else if (cursor < ends.low && cursor > 0) {
      onFailure(new Error(`The log begins at ${ends.low}, after ${cursor}, which ${where} has come to: records are too old`), doing);
    }
    return start;
  };
  const dequeue = (): LogBatch[] => {
    const batches: LogBatch[] = [];
    const from = new Map<number, Held>();
    let records = 0;
    let bytes = 0;
    for (const [partition, one] of held) {
      while (one.waiting.length > 0 && records < APPLY_RECORDS && bytes < APPLY_BYTES) {
        const { batch, bytes: size } = one.waiting.shift() as Held['waiting'][number]; // there is one
        batches.push(batch);
        records += batch.records.length;
        bytes += size;
        one.waitingRecords -= batch.records.length;
        one.waitingBytes -= size;
        from.set(partition, one);
      }
      if (one.isFull && one.waitingRecords <= WAITING_RECORDS / 2 && one.waitingBytes <= WAITING_BYTES / 2 && one.next !== undefined) {
        one.isFull = false;
        fetching?.seek(partition, one.next);
        fetching?.resume([partition]);
      }
    }
    // The next round begins with another partition: a busy one does not keep others waiting.
    for (const [partition, one] of from) if (held.delete(partition)) held.set(partition, one);
    return batches;
  };
  const round = async (): Promise<'owned' | 'applied' | 'nothing to do'> => {
    if (fault) throw fault;
    const wanted = [...assigned].filter((partition) => !held.has(partition)).sort((a, b) => a - b);
    if (wanted.length > 0) {
      await own(wanted);
      return 'owned';
    }
    const batches = isCurrent() ? dequeue() : [];
    if (batches.length === 0) return 'nothing to do';
    await subscriber.apply(batches);
    return 'applied';
  };
  const run = async (): Promise<void> => {
    const backoff = createBackoff(RETRY);
    while (!stopping.signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        rouse = resolve;
      });
      try {
        const did = await round();
        if (did === 'applied') backoff.reset();
        if (did === 'nothing to do') await woken;
      } catch (error) {
        if (stopping.signal.aborted) break;
        onFailure(error, doing);
        fault = undefined;
        fetching?.pause([...held.keys()]);
        lose([...held.keys()]);
        await delay(backoff.next(), stopping.signal);
      }
    }
    lose([...held.keys()]);
  };
  const running = run();

  return {
    wake,
    /** The group has been joined: these are ours from now on. If it does not `follow` the last assignment, others may have had them since. */
    assign(partitions: readonly number[], follows: boolean, from: Fetching): void {
      fetching = from;
      assigned = new Set(partitions);
      lose([...held.keys()].filter((partition) => !follows || !assigned.has(partition)));
      // The consumer has forgotten where it was. Nothing is fetched before it has been set again.
      from.pause(partitions);
      for (const [partition, one] of held) {
        if (one.next === undefined) continue;
        from.seek(partition, one.next);
        if (!one.isFull) from.resume([partition]);
      }
      wake();
    },
    /** None is ours any more. */
    revoke(): void {
      assigned = new Set();
      fetching = undefined;
      lose([...held.keys()]);
    },
    /** Records of a partition were fetched, of so many bytes; the decoder is called only if they are wanted. */
    receive(partition: number, firstOffset: number, bytes: number, decode: () => LogBatch): void {
      const one = held.get(partition);
      if (one?.next === undefined) return;
      try {
        const batch = batchFrom(decode(), one.next);
        if (firstOffset > one.next) throw new Error(`The log has lost offsets ${one.next} to ${firstOffset - 1} of partition ${partition}`);
        const count = batch.records.length;
        if (count === 0) return;
        one.waiting.push({ batch, bytes });
        one.waitingRecords += count;
        one.waitingBytes += bytes;
        one.next += count;
        if (one.waitingRecords > WAITING_RECORDS || one.waitingBytes > WAITING_BYTES) {
          one.isFull = true;
          fetching?.pause([partition]);
        }
      } catch (error) {
        fault = error instanceof Error ? error : new Error(String(error));
      }
      wake();
    },
    /** Loses everything, and owns it again. */
    again(): void {
      fault = new Error('it was asked to start over');
      wake();
    },
    partitions: (): readonly number[] => [...assigned],
    /** Waits for the call that is under way; then everything is lost. */
    async stop(): Promise<void> {
      stopping.abort();
      wake();
      await running;
    },
  };
}
