import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Cluster } from 'kafkajs';
import { fakeClock } from '@evenfall/time';
import { createMembership } from './membership.ts';

const SESSION_MS = 10_000;

/** A member, and the coordinator it speaks to. */
async function member() {
  const clock = fakeClock();
  const seen: string[] = [];
  let answer: () => Promise<unknown> = () => Promise.resolve({});
  const coordinator = { joinGroup: () => answer(), syncGroup: () => answer(), heartbeat: () => answer(), other: () => 'as it was' };
  const cluster = { findGroupCoordinator: () => Promise.resolve(coordinator) };
  const membership = createMembership(clock, SESSION_MS, { onHeartbeat: () => undefined, onExpelled: () => seen.push('expelled') });
  membership.watch(cluster as unknown as Cluster); // of which it uses no more
  const watched = await cluster.findGroupCoordinator();
  const join = async (memberId: string, generationId: number): Promise<boolean> => {
    answer = () => Promise.resolve({ memberId, generationId });
    await watched.joinGroup();
    await watched.syncGroup();
    return membership.settle();
  };
  const beat = (outcome: () => Promise<unknown> = () => Promise.resolve({})): Promise<unknown> => {
    answer = outcome;
    return watched.heartbeat();
  };
  return { clock, seen, membership, join, beat, other: () => watched.other() };
}

const refusal = (type: string): Error => Object.assign(new Error(type), { type });

describe('Membership', () => {
  it('is current for a session after the last answered heartbeat', async () => {
    const { clock, membership, join, beat, other } = await member();
    assert.equal(membership.isCurrent(), false);
    await join('m', 1);
    assert.equal(membership.isCurrent(), true);
    clock.advance(SESSION_MS - 1);
    await beat();
    clock.advance(SESSION_MS - 1);
    assert.equal(membership.isCurrent(), true);
    await assert.rejects(beat(() => Promise.reject(new Error('no answer'))));
    clock.advance(1);
    assert.equal(membership.isCurrent(), false);
    assert.equal(other(), 'as it was');
  });

  it('counts from when a heartbeat was sent, not from when its answer was found', async () => {
    const { clock, membership, join, beat } = await member();
    await join('m', 1);
    await beat(() => {
      clock.advance(60_000); // the process was stopped, with the answer in its socket
      return Promise.resolve({});
    });
    assert.equal(membership.isCurrent(), false);
  });

  it('is in doubt while the group is being joined anew', async () => {
    const { membership, join, beat } = await member();
    await join('m', 1);
    await assert.rejects(beat(() => Promise.reject(refusal('REBALANCE_IN_PROGRESS'))));
    assert.equal(membership.isCurrent(), true, 'no other member gets them before this one has joined too');
    const joining = join('m', 2);
    assert.equal(membership.isCurrent(), false);
    assert.equal(await joining, true);
    assert.equal(membership.isCurrent(), true);
  });

  it('follows the last one without a gap only as the same member in the next generation', async () => {
    const { join } = await member();
    assert.equal(await join('m', 4), false);
    assert.equal(await join('m', 5), true);
    assert.equal(await join('m', 5), true);
    assert.equal(await join('m', 7), false, 'another member may have had them in generation 6');
    assert.equal(await join('n', 8), false);
  });

  it('ends at once when the group goes on without it', async () => {
    const { seen, membership, join, beat } = await member();
    await join('m', 1);
    await assert.rejects(beat(() => Promise.reject(refusal('UNKNOWN_MEMBER_ID'))));
    assert.deepEqual(seen, ['expelled']);
    assert.equal(membership.isCurrent(), false);
    assert.equal(await join('m', 2), false);
  });
});
