import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import { silentLog } from '@evenfall/telemetry';
import { systemClock } from '@evenfall/time';
import { shipLogs } from './ship-logs.ts';

type Client = Parameters<typeof shipLogs>[0];
const line = (sequence: number): StoredLogLine => ({ ...StoredLogLine.create(), eventId: 'e', sequence });
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
      return {};
    };
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const shipper = shipLogs({ appendLogLines } as unknown as Client, systemClock, silentLog, counters);
    let last = 0;
    for (let i = 1; i <= 1200; i++) last = shipper.push(line(i));
    await stored(shipper, last);
    assert.deepEqual(
      got,
      Array.from({ length: 1200 }, (_, i) => i + 1),
    );
    assert.ok(Math.max(...sizes) <= 500);
    assert.deepEqual(counters, { log_lines_stored_total: 1200, log_lines_dropped_total: 0 });
    await shipper.stop();
  });

  it('are tried again, and nobody waits for them longer than a second', async () => {
    let away = true;
    const got: number[] = [];
    const appendLogLines = async ({ lines }: { lines: StoredLogLine[] }) => {
      if (away) throw new Error('away');
      got.push(...lines.map((each) => each.sequence));
      return {};
    };
    const counters = { log_lines_stored_total: 0, log_lines_dropped_total: 0 };
    const shipper = shipLogs({ appendLogLines } as unknown as Client, systemClock, silentLog, counters);
    const ordinal = shipper.push(line(1));
    const startMs = performance.now();
    await stored(shipper, ordinal);
    const waitedMs = performance.now() - startMs;
    assert.ok(waitedMs > 900 && waitedMs < 1500, `${waitedMs} ms`);
    away = false;
    await stored(shipper, shipper.push(line(2)));
    assert.deepEqual(got, [1, 2]);
    await shipper.stop();
  });
});
