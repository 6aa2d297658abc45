import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { StopInstance } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { yieldToLoop } from '@evenfall/time';
import { type Host, isAlive, startHost } from './testing/host.ts';
import { listPids, readEnvironment } from './adapters/process/proc-fs.ts';

/** Of the agent's processes that wait for an instance, or once did. */
const readyPids = (host: Pick<Host, 'dataDir'>): number[] =>
  listPids().filter((pid) => {
    const text = readEnvironment(pid);
    return text.includes('EVENFALL_INSTANCE_ID=ready-') && text.includes(`EVENFALL_AGENT_HOME=${host.dataDir}/tmp`);
  });

/** What differs between any two instances is left out. */
const same = (dump: Record<string, unknown>): unknown =>
  JSON.parse(
    JSON.stringify(dump)
      .replaceAll(/[0-9a-f]{64}/g, 'SHA')
      .replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID')
      .replaceAll(/90\d{4}|0x[0-9a-f]{9,}/g, '0'),
  );

// V8's limit is in execArgv. The limit that Node reports includes the generation of new objects, whose size depends on the memory that it saw at its start: the cgroup's or
// the host's, since an interpreter starts while its process is put into its cgroup.
const DUMPS = {
  python3: {
    'index.py': `import json, os, resource, subprocess, sys, locale, time, tempfile
def seen():
    status = {l.split(":")[0]: l.split(":")[1].strip() for l in open("/proc/self/status")}
    return {
        "env": dict(sorted(os.environ.items())),
        "child": sorted(subprocess.run(["/usr/bin/env"], capture_output=True, text=True).stdout.split("\\n")),
        "pwd": subprocess.run(["/bin/pwd"], capture_output=True, text=True).stdout,
        "cwd": os.getcwd(), "argv": sys.argv, "path": sys.path, "orig": sys.orig_argv, "flags": str(sys.flags), "file": __file__,
        "modules": sorted(sys.modules), "locale": locale.getpreferredencoding(), "tz": time.tzname, "tmp": tempfile.gettempdir(),
        "cmdline": open("/proc/self/cmdline").read(), "groups": os.getgroups(), "umask": os.umask(0o22),
        "limits": [resource.getrlimit(n) for n in range(16)], "nice": os.nice(0), "sid": os.getsid(0) == os.getpid(), "group": os.getpgrp() == os.getpid(),
        "status": {n: status[n] for n in ("Uid", "Gid", "CapInh", "CapPrm", "CapEff", "CapBnd", "NoNewPrivs", "SigIgn", "SigCgt", "SigBlk", "Seccomp")},
        "fds": sorted(f for f in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + f)),
        "tmpfiles": sorted(os.listdir("/tmp")) if os.environ["TMPDIR"] == "/tmp" else [], "code": os.listdir(os.getcwd()),
        "codes": os.listdir("..") if os.environ["TMPDIR"] == "/tmp" else [], "meta": [str(f) for f in sys.meta_path],
        "writes": os.access(os.getcwd(), os.W_OK), "threads": status["Threads"],
    }
first = seen()
def handler(e, c):
    c = dict(c); c.pop("request_id")
    return {"first": first, "context": c, "now": seen()}
`,
  },
  nodejs: {
    'index.js': `const fs = require('node:fs'), path = require('node:path'), { execFileSync } = require('node:child_process');
const status = Object.fromEntries(fs.readFileSync('/proc/self/status', 'utf8').split('\\n').map((l) => l.split(':\\t')));
const seen = () => ({
  env: Object.fromEntries(Object.entries(process.env).sort()), child: execFileSync('/usr/bin/env').toString().split('\\n').sort(),
  cwd: process.cwd(), pwd: execFileSync('/bin/pwd').toString(), argv: process.argv, execArgv: process.execArgv, exec: process.execPath,
  paths: require('node:module').globalPaths, resolve: require.resolve.paths('x'), file: __filename, tmp: require('node:os').tmpdir(),
  home: require('node:os').homedir(), umask: process.umask(), title: process.title, groups: process.getgroups(), uid: process.getuid(),
  limits: fs.readFileSync('/proc/self/limits', 'utf8'),
  cmdline: fs.readFileSync('/proc/self/cmdline', 'utf8'), code: fs.readdirSync('.'), codes: process.env.TMPDIR === '/tmp' ? fs.readdirSync('..') : [],
  status: ['Uid', 'Gid', 'CapEff', 'CapBnd', 'NoNewPrivs', 'SigIgn', 'SigCgt', 'SigBlk'].map((n) => [n, status[n]]),
  tmpfiles: process.env.TMPDIR === '/tmp' ? fs.readdirSync('/tmp') : [], listeners: process.eventNames().map(String),
  timezone: Intl.DateTimeFormat().resolvedOptions().timeZone, locale: Intl.DateTimeFormat().resolvedOptions().locale,
  helper: require('helper').name, modules: Object.keys(require.cache).map((f) => path.basename(f)),
});
const first = seen();
exports.handler = async (e, c) => ({ first, context: { ...c, request_id: 0 }, now: seen() });
`,
    'node_modules/helper/index.js': 'exports.name = "helper";\n',
  },
} as const;

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const ONE = { 'index.py': 'def handler(e, c):\n    return 1\n' };

async function withHost(test: (host: Host) => Promise<void>): Promise<void> {
  const host = await startHost({ ready: 1 });
  try {
    await test(host);
  } finally {
    await host.dispose();
  }
}

async function resultOf(host: Host, instance: string, payload: unknown = {}): Promise<unknown> {
  const ended = await host.ended(host.run(instance, payload));
  assert.equal(ended.statusCode, 200, ended.error.toString());
  return JSON.parse(ended.result.toString());
}

const up = (host: Host): Promise<unknown> => host.until(() => host.agent.readyCounts().ready > 0, 'a ready process');
const claimedOf = (host: Host): number => host.agent.readyCounts().claimed;

describe('A process that was started ahead', () => {
  for (const [runtime, files] of Object.entries(DUMPS)) {
    it(`is as any other to a function of ${runtime}`, () =>
      withHost(async (host) => {
        const fn = { runtime, handler: 'index.handler', environment: { MODE: 'blue', ODD: `a'b"c\n$HOME \\ é` } };
        const ordinary = await host.start(fn, files);
        const one = (await resultOf(host, ordinary)) as Record<string, unknown>;
        await up(host);
        const waiting = readyPids(host);
        const claimed = await host.start(fn, files);
        const two = (await resultOf(host, claimed)) as Record<string, unknown>;
        assert.equal(claimedOf(host), 1);
        assert.deepEqual(same(two), same(one));
        host.send({ stopInstances: [{ instanceId: claimed, cause: 0 }] });
        await host.gone(claimed);
        assert.deepEqual(waiting.filter(isAlive), [], 'it was this one');
      }));
  }

  it('does not become a version whose variables are read at the start of a process', () =>
    withHost(async (host) => {
      const code = { 'index.py': 'import os, sys\ndef handler(e, c):\n    return [os.environ.get("TZ"), sys.flags.utf8_mode]\n' };
      assert.deepEqual(await resultOf(host, await host.start(PYTHON, code)), [null, 0]);
      await up(host);
      const other = await host.start({ ...PYTHON, environment: { TZ: 'Asia/Tokyo', PYTHONUTF8: '1' } }, code);
      assert.deepEqual(await resultOf(host, other), ['Asia/Tokyo', 1]);
      assert.equal(claimedOf(host), 0);
    }));

  it('sees its own package alone, and no other function sees its /tmp', () =>
    withHost(async (host) => {
      const look = [
        'import os',
        'def fault(path):',
        '    try: os.stat(path)',
        '    except OSError as error: return type(error).__name__',
        '    return "it is there"',
        'def handler(e, c):',
        '    if "write" in e: open("/tmp/mine", "w").write("x")',
        '    return {"faults": [fault(path) for path in e.get("paths", [])], "folder": os.getcwd(), "tmp": os.listdir("/tmp")}',
      ].join('\n');
      type Seen = { readonly faults: string[]; readonly folder: string; readonly tmp: string[] }; // what the function above returns
      const started = (name: string): Promise<string> => host.start(PYTHON, { 'index.py': `${look}\n# ${name}\n` });
      const seen = async (instance: string, payload: unknown = {}): Promise<Seen> => (await resultOf(host, instance, payload)) as Seen;
      const first = await seen(await started('first'));
      await up(host);
      const second = await started('second');
      const { folder } = await seen(second, { write: true });
      await up(host);
      const third = await seen(await started('third'), { paths: [first.folder, folder, `${folder}/index.py`, '/tmp/mine'] });
      const later = await seen(second, { paths: [third.folder, '/tmp/mine'] });
      assert.equal(claimedOf(host), 2);
      if (!host.agent.abilities.some(({ name, available }) => name === 'private-tmp' && available)) return;
      assert.deepEqual(third.faults, Array(4).fill('FileNotFoundError'));
      assert.deepEqual(third.tmp, first.tmp);
      assert.deepEqual(later.faults, ['FileNotFoundError', 'it is there']);
    }));

  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    it(`and got ${signal} costs an ordinary start, and is not left`, () =>
      withHost(async (host) => {
        await resultOf(host, await host.start(PYTHON, ONE));
        await up(host);
        const waiting = readyPids(host);
        for (const pid of waiting) process.kill(pid, signal);
        assert.equal(await resultOf(host, await host.start(PYTHON, ONE)), 1);
        assert.equal(claimedOf(host), 0);
        await host.until(() => !waiting.some(isAlive), 'its end');
      }));
  }

  it('is stopped as any other: its function receives the signal, and nothing of it is left', () =>
    withHost(async (host) => {
      const code = [
        'import os, signal, subprocess, sys, time',
        'def handler(e, c):',
        '    signal.signal(signal.SIGTERM, lambda *_: (print("received", flush=True), sys.exit(3)))',
        '    stray = subprocess.Popen(["sleep", "600"], start_new_session=True)',
        '    print("up", stray.pid, flush=True)',
        '    time.sleep(60) if e.get("s") else stray.kill()',
      ].join('\n');
      await resultOf(host, await host.start(PYTHON, { 'index.py': code }));
      await up(host);
      const waiting = readyPids(host);
      const instance = await host.start(PYTHON, { 'index.py': code });
      const id = host.run(instance, { s: 1 });
      const stray = host.pidOf(instance, (await host.line(id, /^up/)).line?.text.split(' ')[1]);
      assert.equal(claimedOf(host), 1);
      host.stop(id, 'GRACEFUL');
      const ended = await host.ended(id);
      assert.deepEqual([ended.exitCode, ended.stop?.steps.length], [3, 1]);
      await host.line(id, 'received');
      assert.deepEqual(
        readyPids(host).filter((pid) => waiting.includes(pid)),
        [],
      );
      assert.deepEqual([isAlive(stray), ended.stop?.sweptProcessCount], [false, 1]);
    }));

  it('ends when its host drains', () =>
    withHost(async (host) => {
      await resultOf(host, await host.start(PYTHON, ONE));
      await up(host);
      const waiting = readyPids(host);
      host.send({ drain: { deadline: { seconds: 20n, nanos: 0 } } });
      await host.until(() => waiting.every((pid) => !isAlive(pid)) && host.agent.readyCounts().ready === 0, 'no ready process');
    }));

  it('does not outlive an agent that is killed', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'evenfall-agent-'));
    const script = `
      const { startHost } = await import(${JSON.stringify(new URL('./testing/host.ts', import.meta.url).href)});
      const host = await startHost({ agentId: 'killed', ready: 1, dataDir: ${JSON.stringify(dataDir)} });
      await host.ended(host.run(await host.start({ runtime: 'python3', handler: 'index.handler' }, ${JSON.stringify(ONE)})));
      await host.until(() => host.agent.readyCounts().ready > 0, 'a ready process');
      console.log('up');
    `;
    const agent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => agent.once('exit', resolve).stdout.once('data', resolve));
    const left = readyPids({ dataDir });
    agent.kill('SIGKILL'); // before anything can fail: it has a tenth of this host's user ids
    assert.ok(left.length >= 1);
    for (const untilMs = Date.now() + 30_000; left.some(isAlive) && Date.now() < untilMs;) await yieldToLoop();
    assert.deepEqual(left.filter(isAlive), []);
    const next = await startHost({ agentId: 'killed', ready: 1, dataDir });
    assert.equal(next.agent.readyCounts().ready, 0);
    await next.dispose();
    await rm(dataDir, { recursive: true });
  });
});

it(
  'is born in a network that is its instance’s alone, and that ends with it',
  { skip: process.getuid?.() !== 0 && 'only root makes networks' },
  async () => {
    const networkOf = (pid: number | 'self'): string => readlinkSync(`/proc/${pid}/ns/net`);
    const code = { 'index.py': 'import os\ndef handler(e, c):\n    return os.readlink("/proc/self/ns/net")\n' };
    const host = await startHost({ ready: 1, network: 'none' });
    const descriptors = (): number => readdirSync('/proc/self/fd').length;
    try {
      const seen: unknown[] = [networkOf('self'), await resultOf(host, await host.start(PYTHON, code))];
      await up(host);
      const [waiting] = readyPids(host);
      assert.ok(waiting);
      const itsNetwork = networkOf(waiting);
      const before = descriptors();
      const claimed = await host.start(PYTHON, code);
      const result = await resultOf(host, claimed);
      assert.equal(claimedOf(host), 1);
      assert.equal(result, itsNetwork);
      seen.push(result);
      assert.equal(new Set(seen).size, 3);
      await up(host);
      for (let n = 0; n < 3; n++) {
        const instance = await host.start(PYTHON, code);
        await resultOf(host, instance);
        host.send({ stopInstances: [{ ...StopInstance.create(), instanceId: instance }] });
        await host.gone(instance);
        await up(host);
      }
      assert.equal(claimedOf(host), 4);
      // Those of the claimed instance that is still there: its channel, its outputs, its network.
      assert.ok(descriptors() <= before + 10, `${descriptors()} descriptors, ${before} before`);
    } finally {
      await host.dispose();
    }
  },
);
