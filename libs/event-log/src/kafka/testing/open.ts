import { randomUUID } from 'node:crypto';
import { silentLog } from '@evenfall/telemetry';
import type { EventLog, Subscription } from '../../port.ts';
import { logTimeMsOf } from '../../append-times.ts';
import { type KafkaLogOptions, openKafkaLog } from '../index.ts';

/** Short times, so that tests need not wait for long ones. */
export const SESSION_MS = 2_000;
export const DEADLINE_MS = 1_000;
const PARTITIONS = 4;

export function newTopic(): string {
  return `test-${randomUUID()}`;
}

const opened: EventLog[] = [];

/** Closes what tests opened: what a failed one left behind would keep the process alive. */
export async function closeLogs(): Promise<void> {
  await Promise.all(opened.map((log) => log.close()));
}

export async function testLog(brokers: string, topic: string, more: Partial<KafkaLogOptions> = {}): Promise<EventLog> {
  const log = await openKafkaLog({
    connection: { brokers: [brokers] },
    topic: { topic, partitionCount: PARTITIONS, retentionMs: 3_600_000 },
    deadlineMs: DEADLINE_MS,
    sessionTimeoutMs: SESSION_MS,
    heartbeatIntervalMs: 200,
    rebalanceTimeoutMs: 5_000,
    maxWaitMs: 100,
    log: silentLog,
    onFailure: () => undefined,
    ...more,
  });
  opened.push(log);
  return log;
}

/** A reader that records what it receives. */
export type Seen = {
  readonly subscription: Subscription;
  /** What it owns now. */
  readonly mine: Set<number>;
  /** Every call, as "owned 0 1", "lost 0"; those of applied batches only as ids. */
  readonly calls: string[];
  readonly ids: string[];
  /** When the log took each of them. */
  readonly appendTimesMs: (number | undefined)[];
};

/** Reads everything from the beginning, or from where it was. `applying` may take its time, or fail. */
export function readAll(log: EventLog, name: string, applying: () => Promise<void> = () => Promise.resolve()): Seen {
  const seen = { mine: new Set<number>(), calls: [] as string[], ids: [] as string[], appendTimesMs: [] as (number | undefined)[] };
  const cursors = new Map<number, number>();
  const subscription = log.subscribe({
    name,
    async owned(partitions) {
      seen.calls.push(`owned ${partitions.join(' ')}`);
      for (const partition of partitions) seen.mine.add(partition);
      return new Map(partitions.map((partition) => [partition, cursors.get(partition) ?? 0]));
    },
    async apply(batches) {
      await applying();
      for (const batch of batches) {
        const { partition, firstOffset, records } = batch;
        cursors.set(partition, firstOffset + records.length);
        for (const [i, record] of records.entries()) {
          seen.ids.push(record.eventId);
          seen.appendTimesMs.push(logTimeMsOf(batch, i));
        }
      }
    },
    lost(partitions) {
      seen.calls.push(`lost ${partitions.join(' ')}`);
      for (const partition of partitions) seen.mine.delete(partition);
    },
  });
  return { ...seen, subscription };
}
