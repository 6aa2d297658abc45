import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { EventRecord } from '@evenfall/contracts/log/v1/record';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { boundReport, evolve, recordBytes, reducedRecord, reportBytes, foldedBytes } from './index.ts';
import { LIMITS } from './limits.ts';
import { hostileEnd, hostileReport } from './testing/hostile.ts';
import { endedAs, ID, newLife, started } from './testing/life.ts';

/** What a bounded record takes at most: a result, an error, and lists of a hundred. */
const MOST_RECORD_BYTES = LIMITS.resultBytes + LIMITS.errorBytes + 256 * 1024;

describe('a report of an agent', () => {
  it('can be written and is within its limits, whatever was sent, and is then left as it is', () => {
    fc.assert(
      fc.property(hostileReport(ID, 1), (report) => {
        const bounded = boundReport(report, false);
        const encoded = AttemptReport.encode(bounded).finish();
        assert.ok(encoded.length <= MOST_RECORD_BYTES, `${encoded.length} bytes`);
        assert.ok(reportBytes(bounded) >= encoded.length, `${reportBytes(bounded)} of ${encoded.length} bytes`);
        assert.equal(boundReport(bounded, false), bounded);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps the whole result for a caller that waits', () => {
    const value = { ...endedAs('returned', 0), result: Buffer.alloc(6_000_000, '1') };
    const report = boundReport({ eventId: ID, attempt: 1, partition: 0, report: { $case: 'ended', value } }, true);
    assert.equal(report.report?.$case === 'ended' && report.report.value.result.length, 6_000_000);
  });

  it('that is as it should be is the same object', () => {
    const report: AttemptReport = { eventId: ID, attempt: 1, partition: 0, report: { $case: 'ended', value: endedAs('returned', 0) } };
    assert.equal(boundReport(report, false), report);
  });
});

describe('records of an event', () => {
  it('can all be written, and the event stays within its budget, whatever its attempts end with', () => {
    fc.assert(
      fc.property(fc.array(hostileEnd, { minLength: 1, maxLength: 12 }), (ends) => {
        const life = newLife({ maxRetries: 8 });
        ends.forEach((ended, i) => {
          life.run(i + 1, { kind: 'ATTEMPT_STARTED', attempt: i + 1, started });
          life.run(i + 1, { kind: 'ATTEMPT_ENDED', attempt: i + 1, ended, random: 0 });
        });
        for (const record of life.records) {
          const { length } = EventRecord.encode(record).finish();
          assert.ok(length <= MOST_RECORD_BYTES && recordBytes(record) >= length, `${length} bytes`);
        }
        assert.ok(life.folded);
        const folded = FoldedEvent.encode(life.folded).finish();
        assert.ok(folded.length <= 1024 * 1024, `${folded.length} bytes`);
        assert.ok(foldedBytes(life.folded) >= folded.length);
      }),
      { numRuns: 50 },
    );
  });

  it('shrink the errors of older attempts first, and keep their numbers', () => {
    const life = newLife({ maxRetries: 8, retryIntervalMs: 1 });
    const error = Buffer.from(JSON.stringify({ errorMessage: 'no', stackTrace: 's\u0001'.repeat(10_000), statusCode: 430 }));
    for (let attempt = 1; attempt <= 9; attempt++) {
      life.run(attempt, { kind: 'ATTEMPT_ENDED', attempt, ended: { ...endedAs('threw', 0), statusCode: 430, error }, random: 0 });
    }
    const attempts = life.folded?.event?.attempts ?? [];
    assert.deepEqual(
      attempts.map(({ number, statusCode }) => [number, statusCode]),
      Array.from({ length: 9 }, (_, i) => [i + 1, 430]),
    );
    assert.equal(attempts[0]?.error.toString(), '{"errorCode":-1,"errorMessage":"no","statusCode":430}');
    assert.ok((attempts[8]?.error.length ?? 0) > 32_000);
  });

  it('that come from a log of before are folded within the limits', () => {
    const life = newLife();
    const value = { ...endedAs('threw', 0), error: Buffer.from(JSON.stringify({ errorMessage: 'x'.repeat(40_000_000) })) };
    const change = { $case: 'attemptEnded', value: { started, attemptResult: value, state: 5, retryTime: undefined } } as const;
    life.records.push({ eventId: ID, attempt: 1, time: new Date(life.nowMs), writerId: 'w', change });
    const folded = life.records.reduce<FoldedEvent | undefined>(evolve, undefined);
    assert.equal(folded?.event?.state, 5);
    assert.ok((folded?.event?.error.length ?? 0) < LIMITS.errorBytes);
  });

  it('that cannot be written are replaced by ones that can, and say so', () => {
    fc.assert(
      fc.property(hostileEnd, (ended) => {
        const value = { started, attemptResult: ended, state: 5, retryTime: undefined } as const;
        const record: EventRecord = {
          eventId: ID,
          attempt: 1,
          time: new Date(NaN),
          writerId: 'w',
          change: { $case: 'attemptEnded', value },
        };
        const reduced = reducedRecord(record, 'it is too large');
        assert.ok(reduced?.change?.$case === 'attemptEnded');
        assert.ok(EventRecord.encode(reduced).finish().length < 4_096);
        const after = reduced.change.value.attemptResult;
        assert.equal(after?.statusCode, ended.statusCode);
        for (const [before, text] of [
          [ended.result, after?.result],
          [ended.error, after?.error],
        ] as const)
          if (before.length > 0) assert.match(String(text), /\[not recorded: it is too large\]/);
      }),
      { numRuns: 100 },
    );
  });
});
