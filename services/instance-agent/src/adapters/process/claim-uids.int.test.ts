import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { claimUids } from './claim-uids.ts';

/** Nobody else's on this host: the claim is made, no process runs under them. */
const RANGE = { first: 3_000_000_000, last: 3_000_000_099 };

describe('A claim on user ids', () => {
  it('is one agent’s alone, for as long as it holds it', async () => {
    const claims = await Promise.all(Array.from({ length: 11 }, () => claimUids(RANGE)));
    const made = claims.filter((each) => each !== undefined);
    assert.equal(made.length, 10);
    assert.equal(new Set(made.map(({ first }) => first)).size, 10);
    for (const { first, last } of made) assert.equal(last - first, 9);
    made[3]?.release();
    await new Promise((resolve) => setImmediate(resolve));
    const again = await claimUids(RANGE);
    assert.equal(again?.first, made[3]?.first);
    for (const claim of [...made, again]) claim?.release();
  });
});
