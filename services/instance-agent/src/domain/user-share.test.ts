import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { userShares } from './user-share.ts';

const limit = fc.nat(10_000_000);
const limits = fc.record({ watches: limit, inotify: limit, inotifyWatches: limit, pending: limit, queueBytes: limit });

describe('The share of what the kernel counts for a user', () => {
  it('is never more than a quarter of it, and at most half for all instances where that is enough to work with', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 1000 }), (of, instances) => {
        const shares = userShares(of, instances);
        for (const name of Object.keys(of) as (keyof typeof of)[]) assert.ok((shares[name] ?? 0) <= of[name] / 4, name);
        const { watches = 0 } = shares;
        if (of.watches >= 2 * 8_192 * instances) assert.ok(watches * instances <= of.watches / 2);
      }),
    );
  });

  it('is unknown where the limit is', () => {
    const none = { watches: undefined, inotify: undefined, inotifyWatches: undefined, pending: undefined, queueBytes: undefined };
    assert.deepEqual(userShares(none, 10), none);
  });

  it('lets a function of an ordinary host watch eight processes full of descriptors', () => {
    const of = { watches: 450_000, inotify: 128, inotifyWatches: 16_000, pending: 7_800, queueBytes: 819_200 };
    assert.deepEqual(userShares(of, 24), { watches: 9_375, inotify: 4, inotifyWatches: 512, pending: 256, queueBytes: 131_072 });
  });
});
