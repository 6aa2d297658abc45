import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { createOutbox, type Outgoing, type Subject } from '../domain/outbox.ts';
import type { QueuePorts } from '../ports.ts';
import type { Ownership, Tenure } from './ownership.ts';

/**
 * Carries the owner's records to the log, in order per partition, and tells about each once it counts. A failed append is tried again until
 * it goes through: what was decided is not taken back. That a record is durable is not enough: a new owner's record may have come before
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
const RETRY_FIRST_MS = 50;
const RETRY_MOST_MS = 2_000;

type Flushed = { readonly end: number; readonly taken: readonly Outgoing[] };

export function createWriter(ports: QueuePorts, ownership: Ownership, onRecorded: OnRecorded): Writer {
  const outbox = createOutbox();
  const busy = new Set<Tenure>();
  const ends = new Map<number, number>();
  const readEnds = new Map<number, number>();
  const unread = new Map<number, Flushed[]>();
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
    const taken = outbox.take(partition);
    if (taken.length === 0) return;
    busy.add(tenure);
    const end = await append(
      partition,
      tenure,
      taken.map(({ record }) => record),
    );
    busy.delete(tenure);
    if (end !== undefined) {
      ends.set(partition, end);
      if (end <= (readEnds.get(partition) ?? 0)) tell(taken);
      else push(partition, { end, taken });
    }
    if (outbox.size > 0) schedule();
    wakeIdlers();
  };
  /** Answers the end offset, or nothing when the partition was lost meanwhile. */
  const append = async (partition: number, tenure: Tenure, records: readonly EventRecord[]): Promise<number | undefined> => {
    for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MOST_MS)) {
      try {
        const end = await ports.eventLog.append(partition, records);
        return ownership.tenureOf(partition) === tenure ? end : undefined;
      } catch (error) {
        if (ownership.tenureOf(partition) !== tenure) return undefined;
        ports.log.warn('the event log did not take records; trying again', { partition, records: records.length, error: String(error) });
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
        if (ownership.tenureOf(partition) !== tenure) return undefined;
      }
    }
  };
  const push = (partition: number, flushed: Flushed): void => {
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
      unread.delete(partition);
      readEnds.delete(partition);
      wakeIdlers();
    },
    async idle() {
      while (!isIdle()) {
        flush();
        await new Promise<void>((resolve) => idlers.push(resolve));
      }
    },
  };
}
