// Provisioned instances where every service is a process of its own: spread over the hosts, and moved when one is lost.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';

type Instance = { readonly id: string; readonly agent_id: string; readonly state: string };
const PATH = '/v1/namespaces/default/functions/ready/provisioned-concurrency?qualifier=1';
const WITHIN_MS = 90_000;

describe('Provisioned concurrency of a cluster', { timeout: 300_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster({ env: { EVENFALL_LEASE: '3s', EVENFALL_AGENT_CAPACITY_MB: '1024' } });
    const fn = { name: 'ready', runtime: 'nodejs', handler: 'index.handler' };
    await cluster.rest.deploy(fn, { 'index.js': 'exports.handler = () => process.pid;' });
    await cluster.rest.call('POST', '/v1/namespaces/default/functions/ready/versions', {});
  });
  after(() => cluster.dispose());

  const instances = async (): Promise<Instance[]> =>
    (await cluster.rest.call<{ instances: Instance[] }>('GET', '/v1/instances')).body.instances;
  const hostsOf = async (): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { agent_id: id, state } of await instances()) if (state === 'IDLE') counts[id] = (counts[id] ?? 0) + 1;
    return counts;
  };
  const become = (wanted: Record<string, number>) =>
    eventually(async () => {
      const now = await hostsOf();
      assert.deepEqual(Object.entries(now).sort(), Object.entries(wanted).sort());
      return true;
    }, WITHIN_MS);

  it('is spread over the hosts', async () => {
    assert.equal((await cluster.rest.call('PUT', PATH, { instances: 4 })).status, 200);
    await become({ 'agent-1': 2, 'agent-2': 2 });
  });

  it('is known again, and not started twice, after the scheduler was killed', async () => {
    const before = (await instances()).map(({ id }) => id).sort();
    await cluster.process('scheduler').kill9();
    await cluster.process('scheduler').restart();
    await become({ 'agent-1': 2, 'agent-2': 2 });
    assert.deepEqual((await instances()).map(({ id }) => id).sort(), before);
  });

  it('moves to the other host when one drains', async () => {
    assert.equal((await cluster.rest.call('POST', '/v1/agents/agent-1:drain', {})).status, 200);
    await become({ 'agent-2': 4 });
  });

  it('moves to the other host when one is lost', async () => {
    await cluster.process('agent-1').restart();
    await eventually(async () => {
      const { body } = await cluster.rest.call<{ agents: { state: string }[] }>('GET', '/v1/agents');
      return body.agents.length === 2 && body.agents.every(({ state }) => state === 'ATTACHED');
    }, WITHIN_MS);
    await cluster.process('agent-2').kill9();
    await become({ 'agent-1': 4 });
  });
});
