import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { type Host, isAlive, startHost } from './testing/host.ts';
import { listPids, readEnvironment } from './adapters/process/proc-fs.ts';


/** Of the agent's processes that wait for an instance, or once did. */
const readyPids = (host: Host): number[] =>
  listPids().filter((pid) => {
    const text = readEnvironment(pid);
    return text.includes('EVENFALL_INSTANCE_ID=ready-') && text.includes(`EVENFALL_AGENT_HOME=${host.dataDir}/tmp`);
  });

/** What differs between any two instances is left out. */
const same = (dump: Record<string, unknown>): unknown =>
  JSON.parse(JSON.stringify(dump).replaceAll(/[0-9a-f]{64}/g, 'SHA').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').replaceAll(/90\d{4}|0x[0-9a-f]{9,}/g, '0'));

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
  heap: require('node:v8').getHeapStatistics().heap_size_limit, limits: fs.readFileSync('/proc/self/limits', 'utf8'),
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

describe('A process that was started ahead', () => {
  let host: Host;
  before(async () => {
    host = await startHost({ ready: 1 });
  });
  after(() => host.dispose());
  const resultOf = async (instance: string, payload: unknown = {}): Promise<unknown> => {
    const ended = await host.ended(host.run(instance, payload));
    assert.equal(ended.statusCode, 200, ended.error.toString());
    return JSON.parse(ended.result.toString());
  };
  const up = (): Promise<unknown> => host.until(() => host.agent.readyCounts().ready > 0, 'a ready process');

  for (const [runtime, files] of Object.entries(DUMPS)) {
    it(`is as any other to a function of ${runtime}`, async () => {
      const fn = { runtime, handler: 'index.handler', environment: { MODE: 'blue', ODD: `a'b"c\n$HOME \\ é` } };
      const ordinary = await host.start(fn, files);
      const one = (await resultOf(ordinary)) as Record<string, unknown>;
      await up();
      const [waiting = 0] = readyPids(host);
      const { claimed: before } = host.agent.readyCounts();
      const claimed = await host.start(fn, files);
      const two = (await resultOf(claimed)) as Record<string, unknown>;
      assert.equal(host.agent.readyCounts().claimed, before + 1);
      assert.deepEqual(same(two), same(one));
      host.send({ stopInstances: [ordinary, claimed].map((instanceId) => ({ instanceId, cause: 0 })) });
      await Promise.all([host.gone(ordinary), host.gone(claimed)]);
      assert.equal(isAlive(waiting), false, 'it was this one');
    });
  }
});
