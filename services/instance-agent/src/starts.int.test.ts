import { hostPid } from '@evenfall/testkit';
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { durationOfMs, yieldToLoop } from '@evenfall/time';
import { listPids, readEnvironment } from './adapters/process/proc-fs.ts';
import { errorOf, type Host, isAlive, startHost } from './testing/host.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };

describe('An instance that cannot start', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  for (const [name, fn, files, statusCode, text] of [
    ['python, no such file', { ...PYTHON, handler: 'nothing.handler' }, { 'index.py': '' }, 437, /nothing\.py/],
    ['python, no such function', PYTHON, { 'index.py': 'def other(): pass\n' }, 437, /handler/],
    ['python, not a handler name', { ...PYTHON, handler: 'index' }, { 'index.py': '' }, 437, /form/],
    ['python, import fails', PYTHON, { 'index.py': 'import no_such_module\n' }, 443, /^Traceback[^]*no_such_module/],
    ['python, syntax', PYTHON, { 'index.py': 'def handler(:\n' }, 443, /SyntaxError/],
    ['node, no such file', { ...NODE, handler: 'nothing.handler' }, { 'index.js': '' }, 437, /nothing/],
    ['node, no such function', NODE, { 'index.js': 'exports.other = 1;' }, 437, /handler/],
    ['node, load fails', NODE, { 'index.js': 'throw new Error("at load");' }, 443, /at load/],
    ['node, syntax', NODE, { 'index.mjs': 'export const = 1;' }, 443, /SyntaxError/],
    ['no such runtime', { ...PYTHON, runtime: 'cobol' }, { 'index.py': '' }, 445, /cobol/],
    ['init timeout', { ...PYTHON, initTimeout: durationOfMs(300) }, { 'index.py': 'import time\ntime.sleep(60)\n' }, 450, /init timeout/],
    [
      'initializer fails',
      { ...PYTHON, initializer: { handler: 'index.init', timeout: undefined } },
      { 'index.py': 'def init(c):\n    raise Exception("not today")\ndef handler(e, c): pass\n' },
      450,
      /not today/,
    ],
    [
      'initializer hangs',
      { ...NODE, initializer: { handler: 'index.init', timeout: durationOfMs(200) } },
      { 'index.js': 'exports.init = () => new Promise(() => {}); exports.handler = () => 1;' },
      450,
      /init timeout/,
    ],
    ['no such code', { ...PYTHON, codeSha256: 'f'.repeat(64) }, {}, 500, /could not be started/],
  ] as const) {
    it(`(${name}) ends what waits for it with ${statusCode}`, async () => {
      const { instance, eventId } = await host.startWith(fn, files);
      const ended = await host.ended(eventId);
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.START_FAILED, statusCode]);
      assert.match(errorOf(ended).errorMessage, text);
      assert.equal(await host.gone(instance), true);
    });
  }

  it('for a variable that cannot be set leaves no process, and its user and folder are free', async () => {
    const { instance, eventId } = await host.startWith(
      { ...PYTHON, environment: { 'a-b': 'x' } },
      { 'index.py': 'def handler(e, c): pass\n' },
    );
    assert.match(errorOf(await host.ended(eventId)).errorMessage, /a-b/);
    assert.equal(await host.gone(instance), true);
    await host.until(() => !readdirSync(join(host.dataDir, 'tmp')).includes(instance), 'its folder is gone');
    const left = listPids().filter((pid) => readEnvironment(pid).includes(`EVENFALL_INSTANCE_ID=${instance}`));
    assert.deepEqual(left, []);
  });

  it('whose code package is no longer there returns what waits for it, with that reason', async () => {
    const { instance, eventId } = await host.startWith({ ...PYTHON, codeSha256: 'e'.repeat(64) }, {});
    const report = await host.until(() => host.reports.find((one) => one.eventId === eventId)?.report, 'a report');
    assert.equal(report.$case, 'throttled', 'it has not begun, and may run on a newer revision');
    assert.equal(await host.gone(instance), true);
    const change = host.changes.find((one) => one.instanceId === instance && one.change?.$case === 'gone')?.change;
    assert.ok(change?.$case === 'gone' && change.value.codeMissing);
  });

  it('and dies in load reports how, for what waits', async () => {
    const instance = await host.start(PYTHON, { 'index.py': 'import os\nprint("bye", flush=True)\nos._exit(7)\n' });
    const id = host.run(instance);
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.START_FAILED, 443]);
    assert.match(errorOf(ended).errorMessage, /exited with code 7 before it was loaded/);
    await host.line(id, 'bye');
    assert.equal(await host.gone(instance), true);
  });

  it('leaves neither processes nor folders', async () => {
    await host.until(() => readdirSync(`${host.dataDir}/tmp`).length === 0, 'empty temporary folder');
  });
});

describe('An instance', () => {
  it('runs its Initializer once, before the first event', async () => {
    const host = await startHost();
    const files = { 'index.py': 'n = 0\ndef init(c):\n    global n\n    n += 1\n    print("init")\ndef handler(e, c):\n    return n\n' };
    const instance = await host.start({ ...PYTHON, initializer: { handler: 'index.init', timeout: undefined } }, files);
    const id = host.run(instance);
    assert.equal((await host.ended(id)).result.toString(), '1');
    assert.equal((await host.ended(host.run(instance))).result.toString(), '1');
    const linesOf = () => host.lines.filter((each) => each.eventId === id);
    await host.until(() => linesOf().length >= 3, 'the lines of the hook'); // they have a way of their own
    assert.deepEqual(
      linesOf().map((each) => each.line?.text.replace(/Id: .*/, 'Id')),
      ['FC Initialize Start RequestId', 'init', 'FC Initialize End RequestId'],
    );
    await host.dispose();
  });

  it('does all of it over gRPC too', async () => {
    const host = await startHost({ grpc: true });
    const instance = await host.start(PYTHON, {
      'index.py': 'import time\ndef handler(e, c):\n    print("working")\n    time.sleep(e["s"])\n    return e\n',
    });
    const first = host.run(instance, { s: 0 });
    const ended = await host.ended(first);
    assert.deepEqual([ended.result.toString(), ended.statusCode], ['{"s":0}', 200]);
    const second = host.run(instance, { s: 60 });
    await host.line(second, 'working');
    host.stop(second, 'GRACEFUL');
    const stopped = await host.ended(second);
    assert.deepEqual([stopped.outcome, stopped.signal, stopped.stop?.steps.length], [Outcome.DIED_OF, 'SIGTERM', 1]);
    await host.gone(instance);
    await host.dispose();
  });

  it('has a clean environment, its own temporary folder, and its code as working directory', async () => {
    process.env['EVENFALL_TEST_SECRET'] = 'x';
    const host = await startHost();
    const code = 'import os\ndef handler(e, c):\n    return {"env": dict(os.environ), "cwd": os.getcwd(), "context": c}\n';
    const instance = await host.start({ ...PYTHON, environment: { MODE: 'blue' } }, { 'index.py': code });
    const id = host.run(instance);
    // What the function above returns.
    type Seen = {
      env: Record<string, string>;
      cwd: string;
      context: { request_id: string; time_limit_in_ms: number; environment: string };
    };
    const { env, cwd, context } = JSON.parse((await host.ended(id)).result.toString()) as Seen;
    assert.equal(env['EVENFALL_TEST_SECRET'], undefined);
    assert.equal(env['NODE_EXTRA_CA_CERTS'], undefined);
    assert.equal(env['MODE'], 'blue');
    assert.equal(env['SCF_FUNCTIONNAME'], 'f');
    const hasOwnTmp = host.agent.abilities.some(({ name, available }) => name === 'private-tmp' && available);
    assert.ok(hasOwnTmp ? env['TMPDIR'] === '/tmp' : env['TMPDIR']?.endsWith(instance), env['TMPDIR']);
    assert.ok(cwd.startsWith(host.dataDir));
    assert.equal(context.request_id, id);
    assert.equal(context.time_limit_in_ms, 30_000);
    assert.equal((JSON.parse(context.environment) as Record<string, string>)['MODE'], 'blue');
    await host.dispose();
  });

  it('of an earlier session is swept before the agent attaches', async () => {
    const agentId = 'sweep-test';
    const env = { PATH: process.env['PATH'], EVENFALL_AGENT_ID: agentId, EVENFALL_INSTANCE_ID: 'old' };
    const left = spawn('sleep', ['3600'], { env, detached: true, stdio: 'ignore' });
    const pid = left.pid ?? 0;
    const neighbour = spawn('sleep', ['3600'], { env: { ...env, EVENFALL_AGENT_HOME: '/elsewhere' }, detached: true, stdio: 'ignore' });
    const host = await startHost({ agentId });
    assert.equal(isAlive(pid), false);
    assert.equal(isAlive(neighbour.pid ?? 0), true, 'an agent of the same name in another folder has its own');
    neighbour.kill('SIGKILL');
    await host.dispose();
  });

  it('does not outlive an agent that is killed', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'evenfall-agent-'));
    const script = `
      const { startHost } = await import(${JSON.stringify(new URL('./testing/host.ts', import.meta.url).href)});
      const host = await startHost({ agentId: 'killed', dataDir: ${JSON.stringify(dataDir)} });
      const instance = await host.start({ runtime: 'python3', handler: 'index.handler' }, { 'index.py': 'import os\\ndef handler(e, c):\\n    return os.getpid()\\n' });
      console.log((await host.ended(host.run(instance))).result.toString());
    `;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const named = Number(await new Promise((resolve) => agent.stdout.once('data', resolve)));
    const pid = hostPid(`EVENFALL_AGENT_HOME=${dataDir}/tmp\0`, named);
    assert.ok(isAlive(pid));
    agent.kill('SIGKILL');
    for (const untilMs = Date.now() + 5_000; isAlive(pid) && Date.now() < untilMs;) await yieldToLoop();
    assert.equal(isAlive(pid), false);
    const next = await startHost({ agentId: 'killed', dataDir });
    assert.deepEqual(readdirSync(join(dataDir, 'tmp')), []);
    await next.dispose();
    await rm(dataDir, { recursive: true });
  });

  it('keeps its lines while the event store is away, and its end waits a second for them', async () => {
    const host = await startHost();
    host.storing = false;
    const id = host.run(await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    print("kept")\n    return 1\n' }));
    const ended = await host.ended(id);
    assert.equal(ended.statusCode, 200);
    assert.equal(host.lines.length, 0);
    host.storing = true;
    await host.line(id, 'kept');
    await host.dispose();
  });
});
