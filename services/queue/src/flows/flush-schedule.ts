import type { OutboxTotals } from '../domain/outbox.ts';
import type { QueuePorts } from '../ports.ts';

/** Decides when the writers of all partitions flush, so that one commit carries records of many. */
export type FlushSchedule = {
  /** What waits in all outboxes; they count it themselves. */
  readonly totals: OutboxTotals;
  /** Counts a record that was added, and has `flush` called soon. */
  added(flush: () => void): void;
  /** Has `flush` called soon. */
  request(flush: () => void): void;
};

/** A start that is alone waits so long for its end: most attempts are over sooner, and then one record says both. */
const START_WAITS_MS = 5;
/**
 * While much is on its way, records gather for so long, or until they are so many: one commit for hundreds of them, here and in the view.
 * Only the event itself waits for them meanwhile; its instance has the next one already.
 */
const BUSY_WAITS_MS = 10;
const FULL_RECORDS = 500;
/** Much: more than so many records in so many milliseconds, 2,000 a second. */
const BUSY_RECORDS = 40;
const RATE_MS = 20;

export function createFlushSchedule({ clock }: Pick<QueuePorts, 'clock'>): FlushSchedule {
  const totals: OutboxTotals = { records: 0, urgent: 0 };
  let pending = new Set<() => void>();
  let isScheduled = false;
  let timer: NodeJS.Timeout | undefined;
  let rateSinceMs = 0;
  let addedCount = 0;
  let wasBusy = false;

  const flush = (): void => {
    isScheduled = false;
    clearTimeout(timer);
    timer = undefined;
    const due = pending;
    pending = new Set();
    for (const one of due) one();
  };
  /** Whether so much is being recorded that larger commits are better than sooner ones. */
  const isBusy = (): boolean => {
    const nowMs = clock.monotonic();
    if (nowMs - rateSinceMs >= RATE_MS) {
      // An interval in which nothing was added says nothing of the one before it.
      wasBusy = nowMs - rateSinceMs < 2 * RATE_MS && addedCount > BUSY_RECORDS;
      addedCount = 0;
      rateSinceMs = nowMs;
    }
    return wasBusy || addedCount > BUSY_RECORDS;
  };
  const request = (one: () => void): void => {
    pending.add(one);
    if (isScheduled) return;
    const isUrgent = totals.urgent > 0;
    if (totals.records >= FULL_RECORDS || (isUrgent && !isBusy())) {
      isScheduled = true;
      queueMicrotask(flush);
    } else timer ??= setTimeout(flush, isUrgent ? BUSY_WAITS_MS : START_WAITS_MS);
  };
  return {
    totals,
    added(one) {
      addedCount++;
      request(one);
    },
    request,
  };
}
