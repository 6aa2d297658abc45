import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type AppendLogLinesRequest, type LogGrant, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { silentLog } from '@evenfall/telemetry';
import { eventually, patient, tempDir } from '@evenfall/testkit';
import { systemClock } from '@evenfall/time';
import { openLogSpool } from '../adapters/spool/log-spool.ts';
import type { LogSpool } from '../ports.ts';
import { shipLogs } from './ship-logs.ts';

type Client = Parameters<typeof shipLogs>[0]['eventStore'];
const COMMON = { agentId: 'a', clock: systemClock, log: silentLog };
const GRANT: LogGrant = { eventId: 'e', attempt: 1, partition: 0, codeSha256: undefined, grant: Buffer.from('of e') };
const line = (sequence: number): StoredLogLine => ({ ...StoredLogLine.create(), eventId: 'e', sequence });
/** No room at all. */
const noSpool: LogSpool = { size: 0, put: async () => false, oldest: async () => undefined };
const stored = (shipper: ReturnType<typeof shipLogs>, ordinal: number): Promise<void> =>
  new Promise((done) => shipper.whenStored(ordinal, done));

describe('Log lines', () => {
  it('go in order, one call at a time, at most 500 each', async () => {
    const sizes: number[] = [];
    const got: number[] = [];
    let open = 0;
    const appendLogLines = async ({ lines }: { lines: StoredLogLine[] }) => {
      assert.equal(++open, 1);
      sizes.push(lines.length);
      got.push(...lines.map((each) => each.sequence));
      await new Promise(setImmediate);
      open -= 1;
      return { refusedCount: 0 };
    };
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const shipper = shipLogs({ eventStore: { appendLogLines }, spool: noSpool, ...COMMON, counters });
    let last = 0;
    for (let i = 1; i <= 1200; i++) last = shipper.push(line(i), GRANT);
    await stored(shipper, last);
    assert.deepEqual(
      got,
      Array.from({ length: 1200 }, (_, i) => i + 1),
    );
    assert.ok(Math.max(...sizes) <= 500);
    assert.deepEqual(counters, { log_lines_stored_total: 1200, log_lines_dropped_total: 0 });
    await shipper.stop();
  });

  it('are tried again, and no attempt waits for them longer than a second', async () => {
    let away = true;
    const got: number[] = [];
    const appendLogLines = async ({ lines }: { lines: StoredLogLine[] }) => {
      if (away) throw new Error('away');
      got.push(...lines.map((each) => each.sequence));
      return { refusedCount: 0 };
    };
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const shipper = shipLogs({ eventStore: { appendLogLines }, spool: noSpool, ...COMMON, counters });
    const ordinal = shipper.push(line(1), GRANT);
    const startMs = performance.now();
    await stored(shipper, ordinal);
    const waitedMs = performance.now() - startMs;
    assert.ok(waitedMs > 900 && waitedMs < patient(1_500), `${waitedMs} ms`);
    away = false;
    await stored(shipper, shipper.push(line(2), GRANT));
    assert.deepEqual(got, [1, 2]);
    await shipper.stop();
  });

  const long = (sequence: number): StoredLogLine => ({
    ...line(sequence),
    line: { time: new Date(), stream: Stream.STDOUT, attempt: 1, instanceId: 'i', text: 'x'.repeat(2_000) },
  });
  const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

  it('wait on disk while the event-store is away, and are sent in order once it is back', async () => {
    const dir = tempDir('spool');
    let away = true;
    const got: number[] = [];
    const appendLogLines = async ({ lines }: { lines: StoredLogLine[] }) => {
      if (away) throw new Error('away');
      got.push(...lines.map((each) => each.sequence));
      return { refusedCount: 0 };
    };
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const shipper = shipLogs({
      eventStore: { appendLogLines },
      spool: openLogSpool(dir.path, 1e9),
      ...COMMON,
      counters,
    });
    for (let n = 1; n <= 6_000; n++) shipper.push(long(n), GRANT); // 13 MB, and 4 of them stay in memory
    await eventually(() => readdirSync(dir.path).filter((name) => name.endsWith('.lines')).length >= 7, 10_000);
    const before = performance.now();
    await new Promise<void>((done) => shipper.whenStored(1, done));
    assert.ok(performance.now() - before < 500, 'an attempt does not wait for what is on disk');
    away = false;
    await eventually(() => got.length === 6_000, 20_000);
    assert.deepEqual(got, upTo(6_000));
    assert.deepEqual(counters, { log_lines_stored_total: 6_000, log_lines_dropped_total: 0 });
    await shipper.stop();
    assert.deepEqual(readdirSync(dir.path), []);
    dir.remove();
  });

  it('come with the grant of each attempt once, from disk as well; what is refused is counted and not sent again', async () => {
    const dir = tempDir('spool');
    let away = true;
    const got: AppendLogLinesRequest[] = [];
    const appendLogLines = async (request: AppendLogLinesRequest) => {
      if (away) throw new Error('away');
      got.push(request);
      return { refusedCount: 10 };
    };
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const terms = { eventStore: { appendLogLines }, ...COMMON, counters };
    const first = shipLogs({ ...terms, spool: openLogSpool(dir.path, 1e9) });
    const grants = [1, 2, 3].map((n) => ({ ...GRANT, eventId: `e${n}`, grant: Buffer.from(`of e${n}`) }));
    for (let n = 1; n <= 100; n++) for (const grant of grants) first.push({ ...line(n), eventId: grant.eventId }, grant);
    await first.stop();
    away = false;
    const second = shipLogs({ ...terms, spool: openLogSpool(dir.path, 1e9) });
    await eventually(() => got.length === 1);
    for (const grant of grants) second.push({ ...line(101), eventId: grant.eventId }, grant);
    await eventually(() => got.length === 2);
    for (const request of got) {
      assert.equal(request.agentId, 'a');
      assert.deepEqual(request.grants, grants);
    }
    assert.deepEqual(counters, { log_lines_stored_total: 283, log_lines_dropped_total: 20 });
    await second.stop();
    dir.remove();
  });

  it('of an earlier session are sent by the next, but for what cannot be read', async () => {
    const dir = tempDir('spool');
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const gone: Client = { appendLogLines: async () => Promise.reject(new Error('away')) };
    const first = shipLogs({ eventStore: gone, spool: openLogSpool(dir.path, 1e9), ...COMMON, counters });
    for (let n = 1; n <= 700; n++) first.push(long(n), GRANT);
    await first.stop();
    const files = readdirSync(dir.path).sort();
    assert.equal(files.length, 2);
    writeFileSync(join(dir.path, '000000000000-3.lines'), 'no lines');
    writeFileSync(join(dir.path, '000000000009-3.lines.new'), 'half');
    mkdirSync(join(dir.path, 'stray'));
    const got: number[] = [];
    const appendLogLines = async ({ lines }: { lines: StoredLogLine[] }) => (
      got.push(...lines.map((each) => each.sequence)),
      { refusedCount: 0 }
    );
    const second = shipLogs({
      eventStore: { appendLogLines },
      spool: openLogSpool(dir.path, 1e9),
      ...COMMON,
      counters,
    });
    await eventually(() => got.length === 700, 10_000);
    assert.deepEqual(got, upTo(700));
    assert.equal(counters.log_lines_dropped_total, 3);
    await second.stop();
    dir.remove();
  });

  it('are dropped, oldest first and counted, when there is room nowhere', async () => {
    const dir = tempDir('spool');
    let away = true;
    const texts: string[] = [];
    let count = 0;
    const appendLogLines = async ({ lines }: { lines: StoredLogLine[] }) => {
      if (away) throw new Error('away');
      for (const each of lines) if (each.line?.stream === Stream.PLATFORM) texts.push(each.line.text);
      count += lines.length;
      return { refusedCount: 0 };
    };
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const shipper = shipLogs({
      eventStore: { appendLogLines },
      spool: openLogSpool(dir.path, 3_000_000),
      ...COMMON,
      counters,
    });
    for (let n = 1; n <= 30_000; n++) shipper.push(long(n), GRANT); // 66 MB: 3 on disk, 32 in memory
    await eventually(() => counters.log_lines_dropped_total > 5_000, 20_000);
    away = false;
    await eventually(() => counters.log_lines_stored_total - texts.length + counters.log_lines_dropped_total >= 30_000, 20_000);
    assert.match(texts[0] ?? '', /^\[PLATFORM\] \d+ log lines were lost$/);
    assert.equal(count, counters.log_lines_stored_total);
    await shipper.stop();
    dir.remove();
  });
});
