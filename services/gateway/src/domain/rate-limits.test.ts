import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createRateLimits } from './rate-limits.ts';
import { fullBucket, type Rate, removeTokens, tokensOf, waitOf } from './token-bucket.ts';

const rate = fc.record({ perSecond: fc.nat(2_000), burst: fc.integer({ min: 1, max: 3_000 }) });
const calls = fc.array(fc.record({ afterMs: fc.nat(1_500), count: fc.integer({ min: 1, max: 1_500 }) }), { maxLength: 100 });

describe('A token bucket', () => {
  it('lets through no more than its burst and its rate, in any stretch of time', () => {
    fc.assert(
      fc.property(rate, calls, (its, all) => {
        const bucket = fullBucket(its, 0);
        const taken: { readonly atMs: number; readonly count: number }[] = [];
        let nowMs = 0;
        for (const { afterMs, count } of all) {
          nowMs += afterMs;
          if (waitOf(bucket, its, count, nowMs) > 0) continue;
          removeTokens(bucket, its, count, nowMs);
          taken.push({ atMs: nowMs, count });
        }
        for (let from = 0; from < taken.length; from++)
          for (let to = from, sum = 0; to < taken.length; to++) {
            sum += taken[to]?.count ?? 0;
            const spanMs = (taken[to]?.atMs ?? 0) - (taken[from]?.atMs ?? 0);
            assert.ok(sum <= its.burst + (spanMs * its.perSecond) / 1_000 + 1e-6);
          }
      }),
    );
  });

  it('says when so many are there, and has them then', () => {
    fc.assert(
      fc.property(rate, calls, fc.integer({ min: 1, max: 3_000 }), (its, all, wanted) => {
        const bucket = fullBucket(its, 0);
        let nowMs = 0;
        for (const { afterMs, count } of all) {
          nowMs += afterMs;
          if (waitOf(bucket, its, count, nowMs) === 0) removeTokens(bucket, its, count, nowMs);
        }
        const waitMs = waitOf(bucket, its, wanted, nowMs);
        if (waitMs === Infinity) return assert.ok(wanted > its.burst || its.perSecond === 0);
        assert.equal(waitOf(bucket, its, wanted, nowMs + waitMs), 0);
        if (waitMs > 1) assert.ok(waitOf(bucket, its, wanted, nowMs + waitMs - 2) > 0);
        return undefined;
      }),
      {
        examples: [
          [
            { perSecond: 5, burst: 2_412 },
            [
              { afterMs: 0, count: 1_067 },
              { afterMs: 1_474, count: 386 },
              { afterMs: 89, count: 727 },
            ],
            860,
          ],
        ],
      }, // fractions that are off
    );
  });

  it('never holds more than its burst, whatever the clock and the rate do', () => {
    const bucket = fullBucket({ perSecond: 10, burst: 100 }, 1_000);
    assert.equal(tokensOf(bucket, { perSecond: 10, burst: 100 }, 99_000), 100);
    assert.equal(tokensOf(bucket, { perSecond: 10, burst: 5 }, 1_000), 5, 'it was made smaller');
    removeTokens(bucket, { perSecond: 10, burst: 100 }, 100, 1_000);
    assert.equal(tokensOf(bucket, { perSecond: 10, burst: 100 }, 500), 0, 'an earlier time adds nothing');
    assert.equal(tokensOf(bucket, { perSecond: 10, burst: 100 }, 2_000), 10);
  });
});

describe('Rate limits', () => {
  const of = (scope: 'key' | 'namespace', name: string, its: Rate) => ({ scope, name, rate: its });
  const small = { perSecond: 10, burst: 10 };
  const large = { perSecond: 100, burst: 100 };

  it('take from every bucket or from none', () => {
    const limits = createRateLimits();
    const both = [of('key', 'ci', small), of('namespace', 'team', large)];
    assert.equal(limits.reserve(both, 10, 0), undefined);
    const refusal = limits.reserve(both, 5, 0);
    assert.equal(refusal?.reason, 'RATE_LIMITED');
    assert.deepEqual(refusal?.metadata, { scope: 'key', name: 'ci', limit: '10', available: '0', retry_after_ms: '500' });
    assert.equal(limits.reserve([of('namespace', 'team', large)], 90, 0), undefined, 'the refused ones took nothing');
    assert.equal(limits.reserve(both, 5, 500), undefined);
  });

  it('are of a name in its scope', () => {
    const limits = createRateLimits();
    assert.equal(limits.reserve([of('key', 'one', small)], 10, 0), undefined);
    assert.equal(limits.reserve([of('namespace', 'one', small)], 10, 0), undefined);
    assert.equal(limits.reserve([of('key', 'two', small)], 10, 0), undefined);
    assert.equal(limits.reserve([of('key', 'one', small)], 1, 0)?.reason, 'RATE_LIMITED');
  });

  it('never take what is larger than the burst, and say so', () => {
    const limits = createRateLimits();
    const refusal = limits.reserve([of('key', 'ci', small)], 1_000, 0);
    assert.equal(refusal?.reason, 'BURST_EXCEEDED');
    assert.equal(refusal?.retry, false);
    assert.equal(refusal?.metadata['available'], '10');
    const off = limits.reserve([of('key', 'off', { perSecond: 0, burst: 0 })], 1, 0);
    assert.equal(off?.reason, 'BURST_EXCEEDED');
    assert.equal('retry_after_ms' in (off?.metadata ?? {}), false);
  });

  it('forget buckets that are full', () => {
    const limits = createRateLimits();
    for (let n = 0; n < 100_000; n++) limits.reserve([of('key', `k${n}`, small)], 1, n * 10);
    assert.ok(limits.size < 2_500, `${limits.size}`);
  });
});
