// A host is emptied, by its operator and by SIGTERM: what runs may finish, what cannot is tried again elsewhere.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';

type Agent = { readonly id: string; readonly state: string; readonly instance_count: number; readonly drain_deadline_time: string | null };
type Receipt = {
  readonly cause: string;
  readonly outcome: string;
  readonly containment: string | null;
  readonly steps: { readonly signal: string }[];
};

const CODE = `import signal, time
def handler(event, context):
    stop = []
    signal.signal(signal.SIGTERM, lambda *a: None if event.get("deaf") else stop.append(1))
    print("working")
    until = time.time() + event.get("seconds", 0)
    while time.time() < until and not stop: time.sleep(0.02)
    return "stopped" if stop else "done"
`;

describe('Draining a host', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = await startTestCluster({ envOf: { 'agent-2': { EVENFALL_AGENT_DRAIN_DEADLINE: '60s' } } });
    const { rest } = cluster;
    const base = { runtime: 'python3', handler: 'index.handler', event_invoke: { retry_interval: '1s' } };
    await rest.deploy({ ...base, name: 'works', timeout: '60s' }, { 'index.py': CODE });
    await rest.deploy(
      { ...base, name: 'tidies', timeout: '3600s', termination_by_cause: { drain: { kill_signal: 'SIGTERM', grace_period: '1s' } } },
      { 'index.py': CODE },
    );
  });
  after(() => cluster.dispose());

  const agents = async (): Promise<Agent[]> => (await cluster.rest.call<{ agents: Agent[] }>('GET', '/v1/agents')).body.agents;
  const working = async (fn: string, payload: object): Promise<{ id: string; agent: string }> => {
    const { id } = await cluster.rest.send(fn, payload);
    await cluster.rest.reaches(id, 'RUNNING', 30_000);
    await eventually(async () => (await cluster.rest.logs(id)).some(({ text }) => text === 'working'), 15_000);
    return { id, agent: (await cluster.rest.get(id)).attempts[0]?.agent_id ?? '' };
  };

  it('keeps new events away, and has an event that is killed tried again elsewhere, with its receipt', async () => {
    const { rest } = cluster;
    const deaf = await working('tidies', { deaf: true, seconds: 5 });
    const id = deaf.agent;
    const output = await runCli(cluster, ['agents', 'drain', id, '--deadline', '30s', '--wait']);
    assert.equal(output.code, 0, output.stderr);
    assert.match(output.stdout, new RegExp(`^${id} DRAINING until .*: 0 instances, 0 attempts`));
    const left = (await agents()).find((agent) => agent.id === id);
    assert.deepEqual([left?.state, left?.instance_count], ['DRAINING', 0]);
    const event = await rest.ended(deaf.id, 60_000);
    assert.deepEqual([event.state, event.result], ['SUCCEEDED', 'done']);
    const [first, last] = [event.attempts[0], event.attempts.at(-1)] as unknown as { outcome: string; agent_id: string; stop?: Receipt }[];
    assert.deepEqual([first?.outcome, first?.stop?.cause, first?.stop?.outcome], ['DRAINED', 'DRAIN', 'FORCE_KILLED']);
    assert.deepEqual(
      first?.stop?.steps.map(({ signal }) => signal),
      ['SIGTERM', 'SIGKILL'],
    );
    assert.ok(['PID_NAMESPACE', 'USER', 'MARKERS'].includes(first?.stop?.containment ?? ''));
    assert.notEqual(last?.agent_id, id, 'elsewhere');
    assert.equal(last?.stop, undefined);
    assert.equal(event.termination, null, 'no caller requested it');
    const lines = (await rest.logs(deaf.id)).map(({ text }) => text);
    assert.equal(lines.filter((text) => text === '[PLATFORM] Signal received successfully').length, 1, lines.join('\n'));
    const refused = await rest.call('POST', '/v1/agents/unknown:drain', {});
    assert.equal(refused.status, 404);
    await cluster.process(id).restart();
    await eventually(async () => (await agents()).every(({ state }) => state === 'ATTACHED'), 30_000);
  });

  it('by SIGTERM lets what runs finish, and leaves with 0', async () => {
    // Only agent-2 waits: the other leaves at once.
    assert.equal((await cluster.rest.call('POST', '/v1/agents/agent-1:drain', {})).status, 200);
    const { id, agent } = await working('works', { seconds: 3 });
    assert.equal(agent, 'agent-2');
    const leaving = cluster.process('agent-2').stop();
    await eventually(async () => (await agents()).some((one) => one.id === 'agent-2' && one.state === 'DRAINING'), 15_000);
    const waits = await cluster.rest.send('works', {});
    assert.equal(await leaving, 0);
    const event = await cluster.rest.ended(id, 30_000);
    assert.deepEqual([event.state, event.result, event.attempts.length], ['SUCCEEDED', 'done', 1]);
    assert.equal((await cluster.rest.get(waits.id)).state, 'QUEUED', 'nowhere to go');
    cluster.process('agent-2').start();
    await cluster.rest.ended(waits.id, 60_000);
  });
});
