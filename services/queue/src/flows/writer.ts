import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { WRITE_BYTES } from '@evenfall/event-log';
import { createOutbox, type Outgoing, type Subject } from '../domain/outbox.ts';
import type { QueuePorts } from '../ports.ts';
import { type Appended, appendRecords } from './append-records.ts';
import type { Ownership, Tenure } from './ownership.ts';

/** An append that fails, since when by the monotonic clock, and why. */
export type FailingAppend = { readonly partition: number; readonly sinceMs: number; readonly error: string };

/**
 * Carries the owner's records to the log, in order per partition, and tells about each once it counts. A failed append is tried again until
 * it goes through, and a record the log refuses for good is replaced: what was decided is not taken back. That a record is durable is not enough: a new owner's record may have come before
 * it, and then it changes nothing. It counts once it was read back without one.
 */
export type Writer = {
  add(entry: Subject, record: EventRecord): void;
  /** Told that the log was read up to here, and nobody had taken the partition over. */
  readUpTo(partition: number, endOffset: number): void;
  /** The offset after the newest record of a partition that is known to be durable. */
  endOffset(partition: number): number;
  /** The offset up to which a partition was read. */
  readEnd(partition: number): number;
  /** Lets go of everything of a partition that does not count yet: it is somebody else's. */
  drop(partition: number): void;
  /** Waits until nothing is on its way. */
  idle(): Promise<void>;
  /** Appends that failed when they were tried last, by partition. */
  failing(): readonly FailingAppend[];
};

/** Told of a record that is in the log and counts. */
export type OnRecorded = (entry: Subject, record: EventRecord) => void;

/** A start that is alone waits so long for its end: most attempts are over sooner, and then one record says both. */
const START_WAITS_MS = 5;
/**
 * While much is on its way, records gather for so long, or until they are so many: one commit for hundreds of them, here and in the view.
 * Nobody waits for them meanwhile but the event itself; its instance has the next one already.
 */
const BUSY_WAITS_MS = 10;
const FULL_RECORDS = 500;
/** Much: more than so many records in so many milliseconds, 2,000 a second. */
const BUSY_RECORDS = 40;
const RATE_MS = 20;

/** Numbers the writer adds to. */
export type WriterCounts = { append_failures_total: number; records_replaced_total: number };

export function createWriter(ports: QueuePorts, ownership: Ownership, onRecorded: OnRecorded, counts: WriterCounts): Writer {
  const outbox = createOutbox();
  const busy = new Set<Tenure>();
  const ends = new Map<number, number>();
  const readEnds = new Map<number, number>();
  const unread = new Map<number, Appended[]>();
  const failing = new Map<number, FailingAppend>();
  let scheduled = false;
  let timer: NodeJS.Timeout | undefined;
  const idlers: (() => void)[] = [];
  let rateSinceMs = 0;
  let added = 0;
  let busyBefore = false;

  const flush = (): void => {
    scheduled = false;
    clearTimeout(timer);
    timer = undefined;
    for (const partition of outbox.partitions()) void flushPartition(partition);
  };
  const flushPartition = async (partition: number): Promise<void> => {
    const tenure = ownership.tenureOf(partition);
    if (!tenure || busy.has(tenure)) return;
    const taken = outbox.take(partition, WRITE_BYTES);
    if (taken.length === 0) return;
    busy.add(tenure);
    const appended = await appendRecords(ports, taken, {
      partition,
      isCurrent: () => ownership.tenureOf(partition) === tenure,
      onTry: (error) => noteTry(partition, error),
      onRefused: () => {
        counts.records_replaced_total++;
      },
    });
    busy.delete(tenure);
    if (appended === undefined) failing.delete(partition);
    else if (appended.taken.length > 0) {
      ends.set(partition, appended.end);
      if (appended.end <= (readEnds.get(partition) ?? 0)) tell(appended.taken);
      else push(partition, appended);
    }
    if (outbox.size > 0) schedule();
    wakeIdlers();
  };
  const noteTry = (partition: number, error: unknown): void => {
    if (error === undefined) return void failing.delete(partition);
    counts.append_failures_total++;
    const sinceMs = failing.get(partition)?.sinceMs ?? ports.clock.monotonic();
    failing.set(partition, { partition, sinceMs, error: error instanceof Error ? error.message : 'it was not said why' });
  };
  const push = (partition: number, flushed: Appended): void => {
    const waiting = unread.get(partition);
    if (waiting) waiting.push(flushed);
    else unread.set(partition, [flushed]);
  };
  const tell = (taken: readonly Outgoing[]): void => {
    for (const { entry, record } of taken) onRecorded(entry, record);
  };
  const schedule = (): void => {
    if (scheduled) return;
    const atOnce = outbox.size >= FULL_RECORDS || (outbox.urgent && !isBusy());
    if (atOnce) {
      scheduled = true;
      queueMicrotask(flush);
    } else timer ??= setTimeout(flush, outbox.urgent ? BUSY_WAITS_MS : START_WAITS_MS);
  };
  /** Whether so much is being recorded that commits had better be made larger than sooner. */
  const isBusy = (): boolean => {
    const nowMs = ports.clock.monotonic();
    if (nowMs - rateSinceMs >= RATE_MS) {
      // An interval in which nothing was added says nothing of the one before it.
      busyBefore = nowMs - rateSinceMs < 2 * RATE_MS && added > BUSY_RECORDS;
      added = 0;
      rateSinceMs = nowMs;
    }
    return busyBefore || added > BUSY_RECORDS;
  };
  const isIdle = (): boolean => outbox.size === 0 && busy.size === 0 && unread.size === 0;
  const wakeIdlers = (): void => {
    if (idlers.length > 0 && (isIdle() || outbox.size > 0)) for (const resolve of idlers.splice(0)) resolve();
  };

  return {
    add(entry, record) {
      outbox.add(entry, record);
      added++;
      schedule();
    },
    readUpTo(partition, endOffset) {
      readEnds.set(partition, endOffset);
      const waiting = unread.get(partition);
      if (!waiting) return;
      const count = waiting.findIndex(({ end }) => end > endOffset);
      const read = waiting.splice(0, count < 0 ? waiting.length : count);
      if (waiting.length === 0) unread.delete(partition);
      for (const { taken } of read) tell(taken);
      wakeIdlers();
    },
    endOffset: (partition) => ends.get(partition) ?? 0,
    readEnd: (partition) => readEnds.get(partition) ?? 0,
    drop(partition) {
      outbox.take(partition);
      failing.delete(partition);
      unread.delete(partition);
      readEnds.delete(partition);
      wakeIdlers();
    },
    failing: () => [...failing.values()],
    async idle() {
      while (!isIdle()) {
        flush();
        await new Promise<void>((resolve) => idlers.push(resolve));
      }
    },
  };
}
