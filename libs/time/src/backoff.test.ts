import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { backoffMs, createBackoff } from './backoff.ts';

describe('A back-off', () => {
  it('doubles from the first pause to the longest, and begins anew after a success', () => {
    const backoff = createBackoff({ firstMs: 50, mostMs: 300 });
    assert.deepEqual(
      Array.from({ length: 5 }, () => backoff.next()),
      [50, 100, 200, 300, 300],
    );
    backoff.reset();
    assert.equal(backoff.next(), 50);
  });

  it('never shrinks while failures go on, and stays within its terms for any count', () => {
    const terms = fc.record({ firstMs: fc.integer({ min: 1, max: 10_000 }), factor: fc.integer({ min: 1, max: 1_000 }) });
    fc.assert(
      fc.property(terms, fc.nat(), ({ firstMs, factor }, failures) => {
        const all = { firstMs, mostMs: firstMs * factor };
        const now = backoffMs(all, failures + 1);
        assert.ok(now >= firstMs && now <= all.mostMs && backoffMs(all, failures) <= now);
      }),
    );
    assert.equal(backoffMs({ firstMs: 50, mostMs: 300 }, 0), 0);
  });
});
