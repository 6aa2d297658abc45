import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { EventRecord } from '@evenfall/contracts/log/v1/record';
import { eventually } from '@evenfall/testkit';
import { type EventLog, type LogBatch, logTimeMsOf, type Subscription } from './index.ts';

/** What a driver's test gives the suite. */
export type LogUnderTest = {
  /** Opens the log once more, as another process would. The log is new for every suite. */
  open(): Promise<EventLog>;
  close(): Promise<void>;
};

type Reading = { readonly batches: LogBatch[]; readonly records: EventRecord[]; readonly subscription: Subscription };

/** The conformance suite of the event log: every driver passes it, unchanged, against its real server. */
export function eventLogContract(driver: string, make: () => Promise<LogUnderTest>): void {
  describe(`event log: ${driver}`, () => {
    let underTest: LogUnderTest;
    let log: EventLog;
    before(async () => {
      underTest = await make();
      log = await underTest.open();
    });
    after(async () => {
      await log.close();
      await underTest.close();
    });

    test('offsets of a partition have no gaps, and an append keeps its order', async () => {
      const start = (await log.endOffsets()).get(0) ?? 0;
      const ends = await Promise.all(Array.from({ length: 50 }, (_, i) => log.append(0, records(`gap-${i}`, (i % 3) + 1))));
      const total = Array.from({ length: 50 }, (_, i) => (i % 3) + 1).reduce((a, b) => a + b);
      assert.equal(Math.max(...ends), start + total);
      assert.equal((await log.endOffsets()).get(0), start + total);
      const read = await readFrom(log, new Map([[0, start]]), total);
      assert.deepEqual(
        read.records.map((r) => r.eventId),
        Array.from({ length: 50 }, (_, i) => records(`gap-${i}`, (i % 3) + 1))
          .flat()
          .map((r) => r.eventId),
      );
      await read.subscription.stop();
    });

    test('a reader starts anywhere, also in the middle of a batch', async () => {
      const end = await log.append(1, records('middle', 10));
      const read = await readFrom(log, new Map([[1, end - 4]]), 4);
      assert.deepEqual(
        read.records.map((r) => r.eventId),
        ['middle-6', 'middle-7', 'middle-8', 'middle-9'],
      );
      assert.equal(read.batches[0]?.firstOffset, end - 4);
      await read.subscription.stop();
    });

    test('what one process appends another reads, in order and as it was', async () => {
      const other = await underTest.open();
      const start = (await other.endOffsets()).get(2) ?? 0;
      const reading = await readFrom(other, new Map([[2, start]]), 0);
      for (let i = 0; i < 5; i++) await log.append(2, records(`cross-${i}`, 2));
      await eventually(() => reading.records.length === 10);
      assert.deepEqual(
        reading.records.map((r) => r.eventId),
        [0, 1, 2, 3, 4].flatMap((i) => [`cross-${i}-0`, `cross-${i}-1`]),
      );
      assert.deepEqual(EventRecord.encode(reading.records[0]!).finish(), EventRecord.encode(records('cross-0', 1)[0]!).finish());
      await other.close();
    });

    test('two writers to one partition lose nothing and repeat nothing', async () => {
      const other = await underTest.open();
      const start = (await log.endOffsets()).get(3) ?? 0;
      await Promise.all(Array.from({ length: 100 }, (_, i) => (i % 2 ? log : other).append(3, records(`two-${i}`, 3))));
      const read = await readFrom(log, new Map([[3, start]]), 300);
      assert.equal(new Set(read.records.map((r) => r.eventId)).size, 300);
      let expected = start;
      for (const batch of read.batches) {
        assert.equal(batch.firstOffset, expected);
        expected += batch.records.length;
      }
      await read.subscription.stop();
      await other.close();
    });

    test('says when it took each record by its own clock, whatever the clock of the writer says, and the same to every reader', async (t) => {
      const start = (await log.endOffsets()).get(1) ?? 0;
      const begunMs = Date.now();
      await log.append(1, records('times-0', 3));
      t.mock.timers.enable({ apis: ['Date'], now: begunMs + 10 * 3_600_000 });
      await Promise.all([log.append(1, records('times-1', 2)), log.append(0, records('times-2', 1)), log.append(1, records('times-3', 2))]);
      t.mock.timers.reset();
      await log.append(1, records('times-4', 1));
      const endedMs = Date.now();
      const other = await underTest.open();
      const readings = [await readFrom(log, new Map([[1, start]]), 8), await readFrom(other, new Map([[1, start]]), 8)];
      const late = await readFrom(other, new Map([[1, start + 4]]), 4);
      const timesOf = ({ batches }: Reading) => batches.flatMap((batch) => batch.records.map((_, i) => logTimeMsOf(batch, i) ?? NaN));
      const [times = [], again] = readings.map(timesOf);
      assert.equal(times.length, 8);
      assert.deepEqual(again, times);
      assert.deepEqual(timesOf(late), times.slice(4));
      for (const [i, timeMs] of times.entries()) {
        assert.ok(timeMs >= Math.max(begunMs, times[i - 1] ?? 0) && timeMs <= endedMs, `${timeMs - begunMs} of ${endedMs - begunMs} ms`);
      }
      for (const { subscription } of [...readings, late]) await subscription.stop();
      await other.close();
    });

    test('apply calls never overlap, and a failed one comes again', async () => {
      const start = (await log.endOffsets()).get(0) ?? 0;
      let running = 0;
      let failures = 0;
      const seen: string[] = [];
      const subscription = log.subscribe({
        name: 'failing',
        owned: async (partitions) => new Map(partitions.map((p) => [p, p === 0 ? start + seen.length : Number.MAX_SAFE_INTEGER])),
        async apply(batches) {
          assert.equal(running++, 0);
          await new Promise((resolve) => setImmediate(resolve));
          running--;
          if (failures++ === 0) throw new Error('the first time it fails');
          for (const batch of batches) seen.push(...batch.records.map((r) => r.eventId));
        },
        lost: () => undefined,
      });
      await log.append(0, records('again', 5));
      await log.append(0, records('more', 5));
      await eventually(() => seen.length === 10);
      assert.deepEqual(
        seen,
        [...records('again', 5), ...records('more', 5)].map((r) => r.eventId),
      );
      await subscription.stop();
    });

    test('a reader that asks for it starts over, from where it says then', async () => {
      const end = await log.append(2, records('over', 6));
      const calls: string[] = [];
      const seen: string[] = [];
      const subscription = log.subscribe({
        name: 'starts-over',
        async owned(partitions) {
          calls.push('owned');
          return new Map(partitions.map((p) => [p, p === 2 ? end - 6 : Number.MAX_SAFE_INTEGER]));
        },
        async apply(batches) {
          for (const batch of batches) seen.push(...batch.records.map((r) => r.eventId));
        },
        lost: () => void calls.push('lost'),
      });
      await eventually(() => seen.length === 6, 20_000);
      subscription.again();
      await eventually(() => seen.length === 12, 20_000);
      assert.deepEqual(seen.slice(6), seen.slice(0, 6));
      assert.deepEqual(calls.slice(0, 3), ['owned', 'lost', 'owned']);
      await subscription.stop();
    });

    test('a large backlog is read in batches, in order', async () => {
      const start = (await log.endOffsets()).get(1) ?? 0;
      for (let i = 0; i < 20; i++) await log.append(1, records(`big-${i}`, 500));
      const other = await underTest.open();
      const read = await readFrom(other, new Map([[1, start]]), 10_000);
      assert.equal(read.records[9_999]?.eventId, 'big-19-499');
      await other.close();
    });
  });
}

/** Records with distinct ids, and every field set that must survive. */
export function records(label: string, count: number): EventRecord[] {
  return Array.from({ length: count }, (_, i) => ({
    eventId: `${label}-${i}`,
    attempt: i,
    time: new Date(1_700_000_000_123),
    writerId: 'w',
    change: { $case: 'endedUnstarted', value: { state: 7 } } as const,
  }));
}

/** Subscribes at the given offsets (elsewhere to nothing) and waits until so many records came. */
async function readFrom(log: EventLog, offsets: ReadonlyMap<number, number>, count: number): Promise<Reading> {
  const batches: LogBatch[] = [];
  const found: EventRecord[] = [];
  const subscription = log.subscribe({
    name: `reader-${Math.random().toString(36).slice(2, 8)}`,
    owned: async (partitions) => new Map(partitions.map((p) => [p, offsets.get(p) ?? Number.MAX_SAFE_INTEGER])),
    apply: async (some) => {
      batches.push(...some);
      for (const batch of some) found.push(...batch.records);
    },
    lost: () => undefined,
  });
  await eventually(() => found.length >= count, 20_000);
  return { batches, records: found, subscription };
}
