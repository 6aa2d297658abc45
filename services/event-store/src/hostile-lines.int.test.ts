import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { before, describe, it } from 'node:test';
import type { AppendLogLinesRequest, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { LIMITS } from '@evenfall/event-model';
import { createGrantChecker, createGrants, grantedAttempt } from '@evenfall/grants';
import { createRepeats, silentLog } from '@evenfall/telemetry';
import { fakeClock, newUuidV7 } from '@evenfall/time';
import { createLogTable } from './adapters/postgres/log-table.ts';
import { createPartitions } from './adapters/postgres/partitions.ts';
import { createLineBudgets, MOST_LINES_OF_ATTEMPT, MOST_TEXT_OF_ATTEMPT } from './domain/line-budgets.ts';
import { createWatchers } from './domain/watchers.ts';
import { appendLogLines, type LinePorts } from './flows/append-log-lines.ts';
import { eachOnAnEmptySchema } from './testing/view.ts';

const HOUR_MS = 3_600_000;
const BATCH = 1_000;

describe('an agent that stores lines without end', () => {
  const { db } = eachOnAnEmptySchema();
  const grants = createGrants();
  const key = randomBytes(32);
  const grantOf = (eventId: string, attempt: number) => ({
    ...{ eventId, attempt, partition: 3, codeSha256: undefined },
    grant: grants.sign(grantedAttempt({ eventId, attempt, partition: 3 }), 'a', 1_790_000_000_000).bytes,
  });
  /** An event-store that has just started. */
  const started = (): LinePorts => ({
    logs: createLogTable(db.sql),
    partitions: createPartitions(db.sql),
    watchers: createWatchers(),
    retentionMs: 72 * HOUR_MS,
    grants: createGrantChecker({ keys: async () => [key], clock: fakeClock() }),
    budgets: createLineBudgets(),
    log: silentLog,
    refusedRepeats: createRepeats(60_000),
    counters: { log_lines_refused_total: 0 },
  });
  before(() => grants.use([key]));
  const lineOf = (eventId: string, sequence: number, text = 'x', time = new Date()): StoredLogLine => ({
    eventId,
    sequence,
    line: { time, stream: Stream.STDOUT, attempt: 1, instanceId: 'i', text },
  });
  const send = (ports: LinePorts, eventId: string, lines: StoredLogLine[]) =>
    appendLogLines(ports, { lines, agentId: 'a', grants: [grantOf(eventId, 1)] } satisfies AppendLogLinesRequest);
  const stored = async (eventId: string) => {
    const [row] = await db.sql<{ lines: number; text: number }[]>`
      SELECT count(*)::int AS lines, coalesce(sum(length(text)), 0)::int AS text FROM events.log_line WHERE event_id = ${eventId}`;
    return { lines: row?.lines ?? 0, text: row?.text ?? 0 };
  };

  it('has as many stored as an attempt may have, though it gives one number to many, each with another time', async () => {
    const [mine, other] = [newUuidV7(), newUuidV7()];
    const ports = started();
    const now = Date.now();
    let refused = 0;
    for (let n = 0; n < MOST_LINES_OF_ATTEMPT + 5 * BATCH; n += BATCH) {
      const lines = Array.from({ length: BATCH }, (_, i) => lineOf(mine, 1 + (i % 2), 'x', new Date(now - n - i)));
      refused += (await send(ports, mine, lines)).refusedCount;
    }
    assert.equal((await stored(mine)).lines, MOST_LINES_OF_ATTEMPT);
    assert.equal(refused, 5 * BATCH);
    assert.equal(ports.counters.log_lines_refused_total, 5 * BATCH);
    assert.deepEqual(
      await send(ports, other, [lineOf(other, 1)]),
      { refusedCount: 0 },
      'what it does to one attempt is no matter to another',
    );
    // An event-store that starts anew reads what is there, whatever number the first line has.
    for (const sequence of [7, 1]) {
      const lines = [lineOf(mine, sequence, 'more', new Date(now + 1)), lineOf(mine, 8, 'more', new Date(now + 2))];
      assert.deepEqual(await send(started(), mine, lines), { refusedCount: 2 });
    }
    assert.equal((await stored(mine)).lines, MOST_LINES_OF_ATTEMPT);
  });

  it('has so much text stored, and not more', async () => {
    const mine = newUuidV7();
    const ports = started();
    const text = 'x'.repeat(16 * 1024);
    for (let n = 0; n < 4; n++)
      await send(
        ports,
        mine,
        Array.from({ length: 60 }, (_, i) => lineOf(mine, 1 + n * 60 + i, text)),
      );
    const { text: characters } = await stored(mine);
    assert.ok(characters <= MOST_TEXT_OF_ATTEMPT && characters > MOST_TEXT_OF_ATTEMPT - text.length, String(characters));
  });

  it('loses nothing while it is honest: all that a function may write, sent again and again', async () => {
    const mine = newUuidV7();
    let ports = started();
    const all = Array.from({ length: LIMITS.attemptLogLines + 1 }, (_, n) => lineOf(mine, n + 1, 'x'.repeat(100)));
    for (let at = 0; at < all.length; at += BATCH) {
      for (let again = 0; again < 4; again++) assert.deepEqual(await send(ports, mine, all.slice(at, at + BATCH)), { refusedCount: 0 });
      if (at === 5 * BATCH) ports = started();
    }
    assert.equal((await stored(mine)).lines, all.length);
  });
});
