import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ListAgentsResponse, ListInstancesResponse } from '@evenfall/contracts/v1/operator_service';
import { listAgents, listInstances } from './flows/list.ts';
import { fnOf, type Rig, startRig } from './testing/rig.ts';

/** The default message limit of gRPC clients. */
const FOUR_MIB = 4 * 1024 * 1024;
const AGENTS = 400;
const INSTANCES = 20;

/** Agents that say as much of themselves as they may. */
function largest(): Rig {
  const rig = startRig();
  const abilities = Array.from({ length: 64 }, (_, n) => ({ name: `a${n}`.padEnd(64, 'x'), available: true, detail: 'd'.repeat(2_000) }));
  for (let a = 0; a < AGENTS; a++)
    rig.attach({
      agentId: `agent-${a}`.padEnd(128, 'x'),
      capacityMb: 1_000_000,
      abilities,
      instances: Array.from({ length: INSTANCES }, (_, i) => ({
        instanceId: `i-${a}-${i}`.padEnd(128, 'x'),
        function: fnOf({ namespace: 'n'.repeat(60), name: 'f'.repeat(60) }),
        attempt: undefined,
        busy: false,
      })),
    });
  return rig;
}

describe('lists of the largest agents and instances', () => {
  const { ports } = largest();

  for (const pageSize of [0, 3, 1_000, 2 ** 31 - 1]) {
    it(`show every agent once, by id, in answers that fit, ${pageSize} a page`, () => {
      const seen: string[] = [];
      let pageToken = '';
      do {
        const page = listAgents(ports, { pageSize, pageToken });
        assert.ok(ListAgentsResponse.encode(page).finish().length < FOUR_MIB);
        seen.push(...page.agents.map(({ id }) => id));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      assert.deepEqual(seen, [...ports.cluster.agents.keys()].sort());
    });

    it(`show every instance once, oldest first, in answers that fit, ${pageSize} a page`, () => {
      for (const agentId of ['', 'agent-7'.padEnd(128, 'x')]) {
        const seen: string[] = [];
        let pageToken = '';
        do {
          const page = listInstances(ports, { agentId, pageSize, pageToken });
          assert.ok(ListInstancesResponse.encode(page).finish().length < FOUR_MIB);
          seen.push(...page.instances.map(({ id }) => id));
          pageToken = page.nextPageToken;
        } while (pageToken !== '');
        assert.equal(seen.length, agentId === '' ? AGENTS * INSTANCES : INSTANCES);
        assert.equal(new Set(seen).size, seen.length);
      }
    });
  }

  it('refuse tokens of other lists, and sizes that cannot be', () => {
    const token = listAgents(ports, { pageSize: 1, pageToken: '' }).nextPageToken;
    assert.throws(() => listInstances(ports, { agentId: '', pageSize: 1, pageToken: token }), /does not belong/);
    assert.throws(() => listAgents(ports, { pageSize: -1, pageToken: '' }), /page_size/);
  });
});
