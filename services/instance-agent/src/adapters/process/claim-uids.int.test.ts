import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { claimUids } from './claim-uids.ts';
import { findLauncher } from './launch/program.ts';

const LAUNCHER = findLauncher();

/** Nobody else's on this host: the claim is made, no process runs under them. */
const RANGE = { first: 3_000_000_000, last: 3_000_000_099 };

describe('A claim on user ids', () => {
  it('is one agent’s alone, for as long as it holds it', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => claimUids(LAUNCHER, RANGE)));
    await assert.rejects(claimUids(LAUNCHER, RANGE), /other agents of this host have all of/);
    assert.equal(new Set(made.map(({ first }) => first)).size, 10);
    for (const { first, last } of made) assert.equal(last - first, 9);
    made[3]?.release();
    const again = await eventually(() => claimUids(LAUNCHER, RANGE).catch(() => undefined), 5_000);
    assert.equal(again.first, made[3]?.first);
    for (const claim of [...made, again]) claim.release();
  });
});
