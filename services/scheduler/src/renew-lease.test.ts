import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { renewLease } from './flows/renew-lease.ts';
import { LEASE_MS, startRig } from './testing/rig.ts';

const isUnknown = (error: unknown): boolean => isRefusal(error) && error.reason === 'AGENT_NOT_FOUND';

describe('a lease that is renewed beside the stream', () => {
  it('keeps the agent for as long as it is renewed', async () => {
    const rig = startRig();
    rig.attach({ agentId: 'a', sessionId: 's1' });
    for (let i = 0; i < 8; i++) {
      rig.clock.advance(LEASE_MS / 4);
      await renewLease(rig.ports, { agentId: 'a', sessionId: 's1' });
      rig.maintain();
    }
    assert.ok(rig.ports.cluster.agents.get('a')?.send);
    for (let i = 0; i < 8; i++) {
      rig.clock.advance(LEASE_MS / 4);
      rig.maintain();
    }
    assert.equal(rig.ports.cluster.agents.has('a'), false);
  });

  it('is that of the session that is attached, and of no agent that is not', () => {
    const rig = startRig();
    rig.attach({ agentId: 'a', sessionId: 's1' });
    for (const request of [
      { agentId: 'a', sessionId: 's0' },
      { agentId: 'b', sessionId: 's1' },
      { agentId: '', sessionId: '' },
    ])
      assert.throws(() => renewLease(rig.ports, request), isUnknown);
  });
});
