// At most one attempt of an event runs, and none is lost: with an agent that is paused for longer than its lease, and with one that is killed.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, hostPid } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { isAlive } from '../support/processes.ts';

const CODE = `import os, time
def handler(event, context):
    print("pid", os.getpid())
    time.sleep(event["seconds"])
    return os.getpid()
`;

/** One that waits has the same number in its namespace as one that runs. */
const NONE_READY = { 'agent-1': { EVENFALL_AGENT_READY: '0' }, 'agent-2': { EVENFALL_AGENT_READY: '0' } };

const begin = async (cluster: TestCluster, seconds: number): Promise<{ id: string; agent: string; pid: number }> => {
  const { rest } = cluster;
  const { id } = await rest.send('sleeps', { seconds });
  await rest.reaches(id, 'RUNNING', 30_000);
  const pidOf = async (): Promise<number | undefined> => {
    const line = (await rest.logs(id)).find(({ text }) => text.startsWith('pid '));
    return line && Number(line.text.slice(4));
  };
  await eventually(async () => (await pidOf()) !== undefined, 15_000);
  const agent = (await rest.get(id)).attempts[0]?.agent_id ?? '';
  return { id, agent, pid: hostPid(`EVENFALL_AGENT_HOME=${cluster.dataDir}/${agent}/`, (await pidOf()) ?? 0) };
};
const deploy = (cluster: TestCluster): Promise<void> =>
  cluster.rest.deploy({ name: 'sleeps', runtime: 'python3', handler: 'index.handler', timeout: '120s' }, { 'index.py': CODE });

describe('An agent that is paused for longer than its lease', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster({ envOf: { scheduler: { EVENFALL_LEASE: '2s' }, ...NONE_READY } });
    await deploy(cluster);
  });
  after(() => cluster.dispose());

  it('ends what another may run before it says or takes anything', async () => {
    const { rest } = cluster;
    const { id, agent, pid } = await begin(cluster, 20);
    cluster.process(agent).pause();
    // Its event goes to the other one.
    await eventually(async () => (await rest.get(id)).attempts.length === 2, 60_000);
    cluster.process(agent).resume();
    await eventually(() => !isAlive(pid), 10_000);
    const event = await rest.ended(id, 60_000);
    assert.equal(event.state, 'SUCCEEDED');
    assert.deepEqual(
      event.attempts.map(({ outcome }) => outcome),
      ['LOST', 'RETURNED'],
    );
    assert.notEqual(event.attempts[1]?.agent_id, agent);
    await eventually(async () => {
      const { body } = await rest.call<{ agents: { id: string }[] }>('GET', '/v1/agents');
      return body.agents.length === 2;
    }, 30_000);
  });
});

describe('An agent that is killed', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    // A lease too long to wait for: what is known sooner was reported.
    cluster = await startTestCluster({ agents: 1, envOf: { scheduler: { EVENFALL_LEASE: '600s' }, ...NONE_READY } });
    await deploy(cluster);
  });
  after(() => cluster.dispose());

  it('reports at its next start that what it ran has ended, and it is run again', async () => {
    const { rest } = cluster;
    const { id, agent, pid } = await begin(cluster, 5);
    await cluster.process(agent).kill9();
    await eventually(() => !isAlive(pid), 10_000);
    cluster.process(agent).start();
    const event = await rest.ended(id, 60_000);
    assert.deepEqual(
      event.attempts.map(({ outcome }) => outcome),
      ['LOST', 'RETURNED'],
    );
    assert.equal(event.state, 'SUCCEEDED');
  });

  it('reports the results that were not acknowledged', async () => {
    const { rest } = cluster;
    const { id, agent } = await begin(cluster, 3);
    const scheduler = cluster.process('scheduler');
    // The stream is open and not read: the result is sent and not received.
    scheduler.pause();
    await eventually(async () => (await cluster.metric(agent, 'evenfall_instance_agent_outcomes_retained')) === 1, 30_000);
    await eventually(async () => (await cluster.metric(agent, 'evenfall_instance_agent_outcomes_spooled')) === 1, 15_000);
    await cluster.process(agent).kill9();
    scheduler.resume();
    cluster.process(agent).start();
    const event = await rest.ended(id, 60_000);
    assert.deepEqual([event.state, event.attempts.length], ['SUCCEEDED', 1]);
  });
});
