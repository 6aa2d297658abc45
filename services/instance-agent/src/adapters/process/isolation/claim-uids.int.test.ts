import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { claimUids } from './claim-uids.ts';
import { childrenOf, readStat } from '../proc-fs.ts';
import { findLauncher } from '../launch/launcher-program.ts';

const LAUNCHER = findLauncher();

/** Unused on this host: they are claimed, no process runs under them. */
const RANGE = { first: 3_000_000_000, last: 3_000_000_099 };

describe('A claim on user ids', () => {
  it('is one agent’s alone, for as long as it holds it', async () => {
    const made = await Promise.all(Array.from({ length: 10 }, () => claimUids(LAUNCHER, RANGE)));
    await assert.rejects(claimUids(LAUNCHER, RANGE), /other agents of this host have all of/);
    assert.equal(new Set(made.map(({ first }) => first)).size, 10);
    for (const { first, last } of made) assert.equal(last - first, 8);
    await made[3]?.release();
    const again = await eventually(() => claimUids(LAUNCHER, RANGE).catch(() => undefined), 5_000);
    assert.equal(again.first, made[3]?.first);
    for (const claim of [...made, again]) await claim.release();
  });

  it('is not claimed by another where its range overlaps, whatever they begin with', async () => {
    const one = await claimUids(LAUNCHER, { first: 2_000_000_000, last: 2_000_000_999 });
    assert.deepEqual([one.first, one.last], [2_000_000_000, 2_000_000_098]);
    const other = await claimUids(LAUNCHER, { first: 2_000_000_050, last: 2_000_000_249 });
    assert.ok(other.first > one.last, `${other.first}`);
    await one.release();
    await other.release();
  });

  it('outlives the process that holds it', async () => {
    const range = { first: 2_000_001_000, last: 2_000_001_099 };
    const claim = await claimUids(LAUNCHER, range);
    const holders = (): number[] => childrenOf(process.pid).filter((pid) => readStat(pid)?.state !== 'Z');
    // The lock, and the process of its last id.
    const made = holders();
    assert.equal(made.length, 2);
    for (const holder of made) process.kill(holder, 'SIGKILL');
    await eventually(() => holders().length === 2 && holders().every((pid) => !made.includes(pid)), 5_000);
    await assert.rejects(claimUids(LAUNCHER, { first: claim.first, last: claim.last + 1 }), /other agents of this host/);
    await claim.release();
  });
});
