import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { eventually } from '@evenfall/testkit';
import type { LogUnderTest } from './event-log.contract.ts';
import { type EventLog, RecordsRefused } from './index.ts';

const MIB = 1024 * 1024;

/** The end of an attempt with a result of so many bytes. */
export function endOf(eventId: string, resultBytes: number, time = new Date(1_700_000_000_000)): EventRecord {
  const attemptResult = AttemptResult.create({ outcome: 1, statusCode: 200, result: Buffer.alloc(resultBytes, 'r'), endTime: time });
  const value = { started: undefined, attemptResult, state: 4, retryTime: undefined } as const;
  return { eventId, attempt: 1, time, writerId: 'w', change: { $case: 'attemptEnded', value } };
}

/** What a log stores, and what it refuses: every driver passes it against its real server, and writes the records beside a refused one. */
export function logLimitsContract(driver: string, make: () => Promise<LogUnderTest>): void {
  describe(`limits of the event log: ${driver}`, () => {
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
    const ids = async (partition: number, start: number, count: number): Promise<string[]> => {
      const found: string[] = [];
      const subscription = log.subscribe({
        name: `limits-${Math.random().toString(36).slice(2, 8)}`,
        owned: async (partitions) => new Map(partitions.map((p) => [p, p === partition ? start : Number.MAX_SAFE_INTEGER])),
        apply: async (batches) => void found.push(...batches.flatMap(({ records }) => records.map(({ eventId }) => eventId))),
        lost: () => undefined,
      });
      await eventually(() => found.length >= count, 30_000);
      await subscription.stop();
      return found;
    };
    const isRefused = (why: string) => (error: unknown) => error instanceof RecordsRefused && error.why === why;

    test('64 results of 250 KB at the same moment are written, in one append and in 64', async () => {
      const some = Array.from({ length: 64 }, (_, i) => endOf(`many-${i}`, 250_000));
      const end = await log.append(0, some);
      const ends = await Promise.all(some.map((record) => log.append(0, [record])));
      assert.equal(Math.max(...ends), end + 64);
      const names = some.map(({ eventId }) => eventId);
      assert.deepEqual(await ids(0, end - 64, 128), [...names, ...names]);
    });

    test('a record that is too large is refused for good, and those beside it are written', async () => {
      const start = (await log.endOffsets()).get(1) ?? 0;
      const refused = assert.rejects(log.append(1, [endOf('small', 10), endOf('large', 8 * MIB)]), isRefused('TOO_LARGE'));
      await Promise.all([log.append(1, [endOf('before', 10)]), refused, log.append(1, [endOf('after', 10)])]);
      assert.deepEqual(await ids(1, start, 2), ['before', 'after']);
    });

    test('so is one that cannot be encoded', async () => {
      const start = (await log.endOffsets()).get(2) ?? 0;
      const broken = endOf('broken', 10, new Date(NaN));
      const refused = assert.rejects(log.append(2, [broken]), isRefused('NOT_ENCODABLE'));
      await Promise.all([log.append(2, [endOf('before', 10)]), refused, log.append(2, [endOf('after', 10)])]);
      assert.deepEqual(await ids(2, start, 2), ['before', 'after']);
    });

    test('any records within the limits are written and read, in the order they were given', async () => {
      let made = 0;
      const size = fc.oneof(
        { weight: 4, arbitrary: fc.integer({ min: 0, max: 400_000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 0, max: 7 * MIB - 1_000 }) },
      );
      const appends = fc.array(fc.array(size, { minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 8 });
      await fc.assert(
        fc.asyncProperty(appends, async (given) => {
          const start = (await log.endOffsets()).get(3) ?? 0;
          const written = given.map((sizes) => sizes.map((bytes) => endOf(`any-${made++}`, bytes)));
          const ends: number[] = [];
          for (const records of written) ends.push(await log.append(3, records));
          const count = written.flat().length;
          assert.equal(ends[ends.length - 1], start + count);
          assert.deepEqual(
            await ids(3, start, count),
            written.flat().map(({ eventId }) => eventId),
          );
        }),
        { numRuns: 8 },
      );
    });
  });
}
