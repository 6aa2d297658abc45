import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { Entry } from '../domain/book.ts';
import { createOutbox } from '../domain/outbox.ts';
import type { QueuePorts } from '../ports.ts';

/**
 * Carries the owner's records to the log, in order per partition, and tells about each once it is durable. A failed append is tried again
 * until it goes through: what was decided is not taken back.
 */
export type Writer = {
  add(entry: Entry, record: EventRecord): void;
  /** The offset after the newest durable record of a partition. */
  endOffset(partition: number): number;
  /** Waits until nothing is on its way. */
  idle(): Promise<void>;
};

export type OnDurable = (entry: Entry, record: EventRecord) => void;

/** A start that is alone waits so long for its end: most attempts are over sooner, and then one record says both. */
const START_WAITS_MS = 1;
/**
 * While much is on its way, records gather for so long, or until they are so many: one commit for hundreds of them, here and in the view.
 * Nobody waits for them meanwhile but the event itself; its instance has the next one already.
 */
const BUSY_WAITS_MS = 10;
const FULL_RECORDS = 500;
const RETRY_FIRST_MS = 50;
const RETRY_MOST_MS = 2_000;

export function createWriter(ports: QueuePorts, onDurable: OnDurable, isBusy: () => boolean): Writer {
  const outbox = createOutbox();
  const busy = new Set<number>();
  const ends = new Map<number, number>();
  let scheduled = false;
  let timer: NodeJS.Timeout | undefined;
  const idlers: (() => void)[] = [];

  const flush = (): void => {
    scheduled = false;
    clearTimeout(timer);
    timer = undefined;
    for (const partition of outbox.partitions()) if (!busy.has(partition)) void flushPartition(partition);
  };
  const flushPartition = async (partition: number): Promise<void> => {
    const taken = outbox.take(partition);
    if (taken.length === 0) return;
    busy.add(partition);
    ends.set(
      partition,
      await append(
        partition,
        taken.map(({ record }) => record),
      ),
    );
    busy.delete(partition);
    for (const { entry, record } of taken) onDurable(entry, record);
    if (outbox.size > 0) schedule();
    else for (const resolve of idlers.splice(0)) resolve();
  };
  const append = async (partition: number, records: readonly EventRecord[]): Promise<number> => {
    for (let pauseMs = RETRY_FIRST_MS; ; pauseMs = Math.min(pauseMs * 2, RETRY_MOST_MS)) {
      try {
        return await ports.eventLog.append(partition, records);
      } catch (error) {
        ports.log.warn('the event log did not take records; trying again', { partition, records: records.length, error: String(error) });
        await new Promise((resolve) => setTimeout(resolve, pauseMs));
      }
    }
  };
  const schedule = (): void => {
    if (scheduled) return;
    const atOnce = outbox.size >= FULL_RECORDS || (outbox.urgent && !isBusy());
    if (atOnce) {
      scheduled = true;
      queueMicrotask(flush);
    } else timer ??= setTimeout(flush, outbox.urgent ? BUSY_WAITS_MS : START_WAITS_MS);
  };

  return {
    add(entry, record) {
      outbox.add(entry, record);
      schedule();
    },
    endOffset: (partition) => ends.get(partition) ?? 0,
    async idle() {
      while (outbox.size > 0 || busy.size > 0) {
        flush();
        await new Promise<void>((resolve) => idlers.push(resolve));
      }
    },
  };
}
