import { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { openEmbeddedLog } from '@evenfall/event-log';
import { createPool, startEmbeddedPostgres } from '@evenfall/postgres';
import { createLog } from '@evenfall/telemetry';
import { tempDir } from '@evenfall/testkit';
import { newUuidV7 } from '@evenfall/time';
import { startEventStore } from '../../services/event-store/src/service.ts';
import { percentile } from '../report.ts';

const EVENTS = 100_000;
const BATCH = 500;
const KEPT = { retentionMs: 72 * 3_600_000, deadLetterRetentionMs: 336 * 3_600_000 };

/** Folding what the log holds already: an event-store that was away, or a view that is made anew. Every event is accepted and concluded: two records. */
export async function foldCase(rounds: number, print: (line: Readonly<Record<string, unknown>>) => void): Promise<void> {
  const rates: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const dir = tempDir('bench-fold');
    const server = await startEmbeddedPostgres({ dir: dir.path });
    const sql = createPool(server.target, { name: 'bench', max: 8 });
    const foldSql = createPool(server.target, { name: 'fold', max: 1, asyncCommit: true });
    try {
      const onFailure = (error: unknown): void => void process.stderr.write(`${String(error)}\n`);
      const eventLog = await openEmbeddedLog({ sql, onFailure });
      const records = await fill(eventLog.append, eventLog.partitionCount);
      const began = performance.now();
      const store = await startEventStore(
        {
          sql,
          foldSql,
          eventLog,
          registry: { recordAudit: async () => ({}), getGrantKeys: async () => ({ keys: [] }) },
          log: createLog('bench', { level: 'warn' }),
        },
        KEPT,
      );
      while (!(await isCaughtUp(sql, records))) await new Promise((resolve) => setTimeout(resolve, 5));
      const rate = records / ((performance.now() - began) / 1000);
      if (round > 0) rates.push(rate); // the first warms up
      if (round > 0) print({ case: 'fold', round, records, records_per_s: Math.round(rate) });
      await store.stop();
      await eventLog.close();
    } finally {
      await Promise.all([sql.end(), foldSql.end()]);
      await server.stop();
      dir.remove();
    }
  }
  print({ case: 'fold', median_records_per_s: Math.round(percentile(rates, 0.5)), rounds });
}

async function isCaughtUp(sql: ReturnType<typeof createPool>, records: number): Promise<boolean> {
  const [row] = await sql<{ n: number }[]>`SELECT sum(end_offset)::float8 AS n FROM events.applied`;
  return (row?.n ?? 0) >= records;
}

/** Accepts of a batch, then the ends of the batch before: what is open is in the tables for a while, as it would be. */
async function fill(append: (partition: number, records: readonly EventRecord[]) => Promise<number>, partitions: number): Promise<number> {
  const payload = Buffer.from(JSON.stringify({ text: 'x'.repeat(189) }));
  let written = 0;
  const before = new Map<number, string[]>();
  for (let n = 0; n <= EVENTS; n += BATCH) {
    const partition = (n / BATCH) % partitions;
    const fn = `f${partition}`;
    const ids = n < EVENTS ? Array.from({ length: BATCH }, () => newUuidV7()) : [];
    const records = [
      ...ids.map((id) => acceptedOf(id, fn, payload)),
      ...(before.get(partition) ?? []).map((id) => concludedOf(id, payload)),
    ];
    before.set(partition, ids);
    await append(partition, records);
    written += records.length;
  }
  for (const [partition, ids] of before) {
    if (ids.length === 0) continue;
    await append(
      partition,
      ids.map((id) => concludedOf(id, payload)),
    );
    written += ids.length;
  }
  return written;
}

function acceptedOf(id: string, fn: string, payload: Buffer): EventRecord {
  const value = {
    namespace: 'default',
    function: fn,
    qualifier: '$LATEST',
    version: '$LATEST',
    trigger: 'api',
    payload,
    policy: { maxRetries: 2, maxEventAgeMs: 21_600_000 },
  };
  return EventRecord.fromPartial({ eventId: id, time: new Date(), change: { $case: 'accepted', value: value } });
}

function concludedOf(id: string, result: Buffer): EventRecord {
  const now = new Date();
  const value = {
    started: { instanceId: id, agentId: 'agent', startTime: now, memoryMb: 128 },
    attemptResult: { outcome: 1, statusCode: 200, result, endTime: now, durationMs: 0.2, memoryBytes: 30_000_000n },
    state: State.SUCCEEDED,
  };
  return EventRecord.fromPartial({ eventId: id, attempt: 1, time: now, change: { $case: 'attemptEnded', value: value as never } });
}
