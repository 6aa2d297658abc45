// The platform is stopped while functions run: by Ctrl-C, by a service manager, through npm.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, tempDir } from '@evenfall/testkit';
import { isAlive, pidsCarrying } from '../support/processes.ts';
import { type Stack, stackEnv, startStack } from '../support/stack.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const CODE = `import signal, time
def handler(event, context):
    stop = []
    signal.signal(signal.SIGTERM, lambda *a: None if event.get("deaf") else stop.append(1))
    print("working")
    until = time.time() + event.get("seconds", 0)
    while time.time() < until and not stop: time.sleep(0.02)
    return "stopped" if stop else "done"
`;

describe('Stopping everything', { timeout: 240_000 }, () => {
  for (const script of ['start', 'start:cluster -- --agents 1 --queues 1 --log embedded'])
    it(`by SIGTERM to npm: npm run ${script}`, async () => {
      const dir = tempDir('npm');
      const env = stackEnv(dir.path);
      const npm = spawn('npm', ['run', ...script.split(' ')], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
      try {
        let text = '';
        for (const stream of [npm.stdout, npm.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
        await eventually(() => /^evenfall (cluster )?ready /m.test(text), 120_000);
        const mark = `EVENFALL_DATA_DIR=${dir.path}`;
        assert.ok(pidsCarrying(mark).length >= 2, 'npm and what it started');
        const gone = once(npm, 'exit');
        npm.kill('SIGTERM'); // to npm alone, as a service manager or a container runtime does
        await gone;
        await eventually(() => pidsCarrying(mark).length === 0, 30_000);
      } finally {
        for (const pid of pidsCarrying(`EVENFALL_DATA_DIR=${dir.path}`)) process.kill(pid, 'SIGKILL');
        dir.remove();
      }
    });

  const startWorking = async (dataDir: string, drain: string): Promise<Stack> => {
    const stack = await startStack({ dataDir, env: { EVENFALL_AGENT_DRAIN_DEADLINE: drain } });
    const base = { runtime: 'python3', handler: 'index.handler', timeout: '3600s', event_invoke: { retry_interval: '1s' } };
    await stack.rest.deploy({ ...base, name: 'tidies', termination_by_cause: { drain: { grace_period: '20s' } } }, { 'index.py': CODE });
    await stack.rest.deploy({ ...base, name: 'works', timeout: '500s' }, { 'index.py': CODE });
    return stack;
  };
  const begin = async (stack: Stack, fn: string, payload: object): Promise<string> => {
    const { id } = await stack.rest.send(fn, payload);
    await eventually(async () => (await stack.rest.logs(id)).some(({ text }) => text === 'working'), 30_000);
    return id;
  };

  it('stops what runs by its own drain policy, says how many it waits for, and records what they answer', async () => {
    const dir = tempDir('stopping');
    try {
      const stack = await startWorking(dir.path, '25s');
      const tidies = await begin(stack, 'tidies', { seconds: 600 });
      const works = await begin(stack, 'works', { seconds: 2 });
      // Longer than the APIs give calls under way when they stop.
      const call = stack.rest.call<{ result: string }>('POST', '/v1/namespaces/default/functions/works:invoke', { seconds: 4 });
      await eventually(async () => (await stack.metric('evenfall_instance_agent_attempts_running')) === 3, 30_000);
      assert.equal(await stack.stop(), 0);
      assert.equal((await call).body.result, 'done');
      assert.match(stack.stderr(), /Waiting for running attempts to end before stopping.*attempts=3/);
      const next = await startStack({ dataDir: dir.path });
      for (const [id, result] of [
        [tidies, 'stopped'],
        [works, 'done'],
      ] as const) {
        const event = await next.rest.get(id);
        assert.deepEqual([event.state, event.result, event.attempts.length], ['SUCCEEDED', result, 1]);
      }
      await next.dispose();
    } finally {
      dir.remove();
    }
  });

  it('kills what still runs at a second signal, and has it tried again at the next start', async () => {
    const dir = tempDir('forcing');
    try {
      const stack = await startWorking(dir.path, '120s');
      const id = await begin(stack, 'works', { seconds: 600, deaf: true });
      const stopped = stack.stop();
      await eventually(() => stack.stderr().includes('Waiting for running attempts'), 10_000);
      assert.ok(isAlive(stack.pid));
      process.kill(stack.pid, 'SIGINT');
      assert.equal(await stopped, 0, 'in order all the same');
      assert.deepEqual(stack.functionPids(), []);
      const next = await startStack({ dataDir: dir.path });
      const event = await next.rest.reaches(id, 'RUNNING', 60_000);
      assert.equal(event.attempts[0]?.outcome, 'DRAINED');
      await next.dispose();
    } finally {
      dir.remove();
    }
  });

  it('does not lose running attempts when all of it is paused for longer than a lease', async () => {
    const dir = tempDir('paused');
    try {
      const stack = await startStack({ dataDir: dir.path, env: { EVENFALL_LEASE: '1s' } });
      await stack.rest.deploy(
        { name: 'works', runtime: 'python3', handler: 'index.handler', timeout: '60s' },
        {
          'index.py':
            'import time\ndef handler(e, c):\n    print("working", flush=True)\n    time.sleep(e["seconds"])\n    return "done"\n',
        },
      );
      const id = await begin(stack, 'works', { seconds: 5 });
      process.kill(stack.pid, 'SIGSTOP');
      const sinceMs = Date.now();
      await eventually(() => Date.now() - sinceMs > 3_500, 10_000);
      process.kill(stack.pid, 'SIGCONT');
      const event = await stack.rest.ended(id, 30_000);
      assert.deepEqual([event.state, event.result, event.attempts.length], ['SUCCEEDED', 'done', 1]);
      await stack.dispose();
    } finally {
      dir.remove();
    }
  });
});
