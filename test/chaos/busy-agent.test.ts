// An agent whose main thread is too busy for heartbeats keeps what it runs; one that hangs does not keep it from others.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, hostPid } from '@evenfall/testkit';
import { startTestCluster, type TestCluster } from '../support/cluster.ts';
import { isAlive } from '../support/processes.ts';

const CODE = `import os, time
def handler(event, context):
    print("pid", os.getpid(), flush=True)
    time.sleep(event["seconds"])
    return "done"
`;

/** Holds the main thread of a process up through its debugger: it computes, and does nothing else. */
async function holdUp(port: number, ms: number): Promise<void> {
  const [target] = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as { webSocketDebuggerUrl: string }[];
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  await new Promise((resolve, reject) => {
    socket.onopen = resolve;
    socket.onerror = () => reject(new Error('no debugger answers'));
  });
  const expression = `{ const end = Date.now() + ${ms}; while (Date.now() < end); }`;
  socket.send(JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } }));
  await new Promise((resolve) => {
    socket.onmessage = resolve;
  });
  socket.close();
}

const debuggerOf = (cluster: TestCluster, agent: string): number => {
  const line = cluster.lines().find((each) => each.startsWith(`${agent} Debugger listening on`));
  return Number(/:(\d+)\//.exec(line ?? '')?.[1]);
};

describe('An agent whose main thread is held up', { timeout: 180_000 }, () => {
  let cluster: TestCluster;
  before(async () => {
    const agent = { NODE_OPTIONS: '--inspect=127.0.0.1:0', EVENFALL_AGENT_READY: '0' };
    cluster = await startTestCluster({ envOf: { scheduler: { EVENFALL_LEASE: '2s' }, 'agent-1': agent, 'agent-2': agent } });
    const fn = { name: 'sleeps', runtime: 'python3', handler: 'index.handler', timeout: '120s' };
    await cluster.rest.deploy(fn, { 'index.py': CODE });
  });
  after(() => cluster.dispose());
  const begin = async (seconds: number) => {
    const { rest } = cluster;
    const { id } = await rest.send('sleeps', { seconds });
    const line = await eventually(async () => (await rest.logs(id)).find(({ text }) => text.startsWith('pid ')), 30_000);
    const agent = (await rest.get(id)).attempts[0]?.agent_id ?? '';
    return { id, agent, pid: hostPid(`EVENFALL_AGENT_HOME=${cluster.dataDir}/${agent}/`, Number(line.text.slice(4))) };
  };

  it('keeps what it runs for three leases and more', async () => {
    const { id, agent, pid } = await begin(9);
    await holdUp(debuggerOf(cluster, agent), 7_000);
    assert.ok(isAlive(pid));
    const event = await cluster.rest.ended(id, 60_000);
    assert.deepEqual([event.state, event.result, event.attempts.length], ['SUCCEEDED', 'done', 1]);
  });

  it('loses it after twenty seconds, and does not run on what another runs', async () => {
    const { id, agent, pid } = await begin(60);
    const held = holdUp(debuggerOf(cluster, agent), 32_000);
    await eventually(() => !isAlive(pid), 30_000);
    const heldFirst = await Promise.race([
      held.then(() => true),
      eventually(async () => (await cluster.rest.get(id)).attempts.length === 2, 20_000).then(() => false),
    ]);
    assert.equal(heldFirst, false, 'another has it while the first still hangs');
    const event = await cluster.rest.get(id);
    assert.equal(event.attempts[0]?.outcome, 'LOST');
    assert.notEqual(event.attempts[1]?.agent_id, agent);
    await cluster.rest.terminate(id);
    await held;
  });
});
