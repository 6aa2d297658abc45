// Memory for functions: instances that are ready before their events, a cap, a share of one's own, and a function that is off.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, tempDir } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import { type Stack, startStack } from '../support/stack.ts';

type Instance = { readonly id: string; readonly function: string; readonly version: string; readonly state: string };
type Provisioned = {
  readonly version: string;
  readonly instances: number;
  readonly available_instances: number;
  readonly starting_instances: number;
  readonly state: string;
  readonly reason: string;
};

const WITHIN_MS = 90_000;
const CODE = `import os, time
print("loaded")
ready = []
def initialize(context):
    print("initialized")
    ready.append(1)
def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return {"pid": os.getpid(), "initialized": len(ready)}
`;
const PYTHON = { runtime: 'python3', handler: 'index.handler', timeout: '120s', event_invoke: { max_retries: 0 } };

describe('Concurrency', { timeout: 400_000 }, () => {
  const dataDir = tempDir('concurrency');
  let stack: Stack;
  const start = (): Promise<Stack> =>
    startStack({
      dataDir: dataDir.path,
      env: {
        EVENFALL_AGENT_CAPACITY_MB: '2560',
        EVENFALL_CONCURRENCY_MB: '12800',
        EVENFALL_INSTANCE_IDLE: '1s',
        EVENFALL_AGENT_READY: '0',
      },
    });
  before(async () => {
    stack = await start();
    await stack.rest.deploy(
      { ...PYTHON, name: 'ready', initializer: { handler: 'index.initialize', timeout: '10s' } },
      { 'index.py': CODE },
    );
    for (const name of ['capped', 'own', 'flood', 'off']) await stack.rest.deploy({ ...PYTHON, name }, { 'index.py': CODE });
    await stack.rest.call('POST', '/v1/namespaces/default/functions/ready/versions', {});
  });
  after(async () => {
    await stack.dispose();
    dataDir.remove();
  });

  const pathOf = (fn: string, what: string): string => `/v1/namespaces/default/functions/${fn}/${what}`;
  const reserve = async (fn: string, memoryMb: number): Promise<void> => {
    const { status } = await stack.rest.call('PUT', pathOf(fn, 'reserved-concurrency'), { memory_mb: memoryMb });
    assert.equal(status, 200);
  };
  const release = (fn: string) => stack.rest.call('DELETE', pathOf(fn, 'reserved-concurrency'));
  const provisioned = async (): Promise<Provisioned> => {
    const path = pathOf('ready', 'provisioned-concurrency?qualifier=1');
    const [one] = (await stack.rest.call<{ versions: Provisioned[] }>('GET', path)).body.versions;
    assert.ok(one);
    return one;
  };
  const allReady = () =>
    eventually(async () => {
      const now = await provisioned();
      if (now.state !== 'READY') throw new Error(JSON.stringify(now));
      return now;
    }, WITHIN_MS);
  const instancesOf = async (fn: string): Promise<Instance[]> => {
    const { body } = await stack.rest.call<{ instances: Instance[] }>('GET', '/v1/instances');
    return body.instances.filter((instance) => instance.function === fn);
  };

  it('has ten instances ready before any event, keeps them, and replaces one that is killed', async () => {
    const put = await runCli(stack, ['--json', 'functions', 'concurrency', 'provision', 'ready', '10', '--qualifier', '1']);
    assert.equal(put.code, 0, put.stderr);
    assert.equal((JSON.parse(put.stdout) as Provisioned).instances, 10);
    const all = await allReady();
    assert.deepEqual([all.available_instances, all.starting_instances, all.reason], [10, 0, '']);
    const before = (await instancesOf('ready')).map(({ id }) => id);
    assert.equal(before.length, 10);

    const [victim] = stack.functionPids();
    assert.ok(victim);
    process.kill(victim, 'SIGKILL');
    await eventually(async () => {
      const now = await instancesOf('ready');
      return now.some(({ id }) => !before.includes(id)) && now.filter(({ state }) => state === 'IDLE').length === 10;
    }, WITHIN_MS);
    assert.equal((await provisioned()).available_instances, 10);

    // The idle time is one second: they outlive it many times over.
    const kept = (await instancesOf('ready')).map(({ id }) => id);
    const { id } = await stack.rest.send('capped', { seconds: 3 });
    await stack.rest.ended(id, WITHIN_MS);
    assert.deepEqual((await instancesOf('ready')).map((one) => one.id).sort(), kept.sort());
  });

  it('gives the first event an instance that is no cold start, initialized, and says so in its log', async () => {
    const headers = { 'evenfall-qualifier': '1' };
    const { id } = await stack.rest.send('ready', {}, { headers });
    const event = await stack.rest.ended(id, WITHIN_MS);
    assert.equal(event.state, 'SUCCEEDED');
    assert.equal((event.result as { initialized: number }).initialized, 1);
    assert.equal(event.attempts[0]?.cold_start, false);
    const lines = (await stack.rest.logs(id)).map(({ text }) => text);
    assert.match(
      lines[1] ?? '',
      new RegExp(`^Provisioned Report RequestId: ${id} Coldstart: \\d+ms \\(.*InitFunction: \\d+ms\\) Memory: 128MB`),
    );
    assert.ok(!lines.some((line) => line.startsWith('Init Report')));
    assert.ok(lines.includes('loaded'), lines.join('\n'));
    const again = await stack.rest.send('ready', {}, { headers });
    assert.equal((await stack.rest.ended(again.id, WITHIN_MS)).attempts[0]?.cold_start, false);
  });

  it('brings them back after the platform was killed and started again', async () => {
    const before = (await instancesOf('ready')).map(({ id }) => id);
    await stack.kill9();
    stack = await start();
    await allReady();
    const now = (await instancesOf('ready')).map(({ id }) => id);
    assert.equal(now.length, 10);
    assert.ok(!now.some((id) => before.includes(id)));
    assert.equal(await stack.metric('evenfall_scheduler_provisioned_instances_missing'), 0);
    const gone = await stack.rest.call('DELETE', pathOf('ready', 'provisioned-concurrency?qualifier=1'));
    assert.equal(gone.status, 204);
    await eventually(async () => (await instancesOf('ready')).length === 0, WITHIN_MS); // idle ones go like all others now
  });

  it('never runs three of fifty events of a function that may have two instances', async () => {
    await reserve('capped', 256);
    const ids = await stack.rest.sendBatch(
      'capped',
      Array.from({ length: 50 }, () => ({ payload: { seconds: 0.1 } })),
    );
    let most = 0;
    await eventually(async () => {
      const now = await instancesOf('capped');
      most = Math.max(most, now.length);
      return (await stack.rest.list('capped', 'state=SUCCEEDED')).length >= 50;
    }, WITHIN_MS);
    assert.equal(most, 2);
    const pids = new Set<number>();
    const times: { at: number; by: 1 | -1 }[] = [];
    for (const id of ids) {
      const { result, attempts } = await stack.rest.get(id);
      pids.add((result as { pid: number }).pid);
      times.push({ at: Date.parse(attempts[0]?.start_time ?? ''), by: 1 }, { at: Date.parse(attempts[0]?.end_time ?? ''), by: -1 });
    }
    const seen = await runCli(stack, ['functions', 'concurrency', 'get', 'capped']);
    assert.deepEqual([seen.code, seen.stdout], [0, '256 MB reserved (at most 11520 of 12800 MB)\n'], seen.stderr);
    // By their own times: one that ends and one that starts in the same millisecond have not overlapped.
    let running = 0;
    for (const { by } of times.sort((a, b) => a.at - b.at || a.by - b.by)) assert.ok((running += by) <= 2);
    await release('capped');
  });

  it('keeps a share from a flood of another function', async () => {
    await reserve('own', 512);
    // 2,560 MB are 20 instances; the flood wants 40 of them and would have all.
    const flood = await stack.rest.sendBatch(
      'flood',
      Array.from({ length: 40 }, () => ({ payload: { seconds: 20 } })),
    );
    await eventually(async () => (await instancesOf('flood')).filter(({ state }) => state === 'BUSY').length === 16, WITHIN_MS);
    const mine = await stack.rest.sendBatch(
      'own',
      Array.from({ length: 4 }, () => ({ payload: { seconds: 2 } })),
    );
    for (const id of mine) assert.equal((await stack.rest.ended(id, WITHIN_MS)).state, 'SUCCEEDED');
    const left = (await stack.rest.list('flood', 'state=QUEUED')).length;
    assert.ok(left > 0, 'the flood still waited for room when they had ended');
    assert.ok((await instancesOf('flood')).length <= 16);
    for (const id of flood) await stack.rest.terminate(id);
    await release('own');
  });

  it('turns a function off and on again, and loses nothing of what waits', async () => {
    const warm = await stack.rest.send('off', {});
    await stack.rest.ended(warm.id, WITHIN_MS);
    await reserve('off', 0);
    await eventually(async () => (await instancesOf('off')).length === 0, WITHIN_MS);
    const ids = await stack.rest.sendBatch(
      'off',
      Array.from({ length: 100 }, () => ({ payload: {} })),
    );
    const refused = await stack.rest.call<{ error: { details: { reason: string }[] } }>(
      'POST',
      '/v1/namespaces/default/functions/off:invoke',
      {},
    );
    assert.deepEqual([refused.status, refused.body.error.details[0]?.reason], [429, 'RESERVED_EXHAUSTED']);
    // Most of what was sent to the scheduler comes back: it must not fill the window that all lanes have.
    await eventually(async () => (await stack.metric('evenfall_scheduler_attempts_throttled_total')) > 0, WITHIN_MS);
    assert.equal((await stack.rest.list('off', 'state=QUEUED')).length, 100);
    const other = await stack.rest.send('capped', {});
    assert.equal((await stack.rest.ended(other.id, WITHIN_MS)).state, 'SUCCEEDED');

    await release('off');
    for (const id of ids) assert.equal((await stack.rest.ended(id, WITHIN_MS)).attempts.length, 1);
    const starts = [];
    for (const id of ids) starts.push((await stack.rest.get(id)).state);
    assert.deepEqual(new Set(starts), new Set(['SUCCEEDED']));
  });
});
