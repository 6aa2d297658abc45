// What is other in a gVisor sandbox. That functions run, end and attack in it as in other sandboxes is tried with those.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import {
  Containment,
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
} from '@evenfall/contracts/v1/termination';
import { patient, tempDir } from '@evenfall/testkit';
import { durationOfMs } from '@evenfall/time';
import { examineHost } from './adapters/process/host-probe/examine-host.ts';
import { findInterpreters } from './adapters/process/launch/interpreters.ts';
import { listPids, readUid } from './adapters/process/proc-fs.ts';
import { type Host, isAlive, startHost } from './testing/host.ts';
import { reasonToSkip } from './testing/sandboxes.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const SECRET = 'evenfall-gvisor-secret-4711';
const python = (body: string): Record<string, string> => ({
  'index.py': `import os, signal, sys, time\ndef handler(e, c):\n${body.replace(/^/gm, '    ')}\n`,
});
/** A custom runtime in the shell that ends in some way while it has an event; the shell itself, not a child of its. */
const dies = (how: string) => ({
  bootstrap: `#!/bin/sh
python3 -c 'import os, urllib.request; urllib.request.urlopen("http://%s/2018-06-01/runtime/invocation/next" % os.environ["AWS_LAMBDA_RUNTIME_API"]).read()'
${how}
`,
});
const livingOf = (uid: number): number[] => listPids().filter((pid) => readUid(pid) === uid && isAlive(pid));
const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has just ended
  }
};

const skip = await reasonToSkip('gvisor');

describe('A function in a gVisor sandbox', { skip }, () => {
  let host: Host;
  before(async () => {
    process.setgroups?.([0, 4, 27]); // none of which a sandbox may have
    host = await startHost({ sandbox: 'gvisor' });
  });
  after(async () => {
    await host.dispose();
    process.setgroups?.([0]);
  });
  const endOf = async (fn: object, files: Record<string, string>) => host.ended(host.run(await host.start(fn, files)));

  it('calls another kernel than the host’s', async () => {
    const ended = await endOf(PYTHON, python('return os.uname().release'));
    assert.notEqual(JSON.parse(ended.result.toString()), release());
  });

  for (const [how, outcome, exitCode, signal] of [
    ['exit 0', Outcome.EXITED, 0, ''],
    ['exit 7', Outcome.EXITED, 7, ''],
    ['exit 137', Outcome.EXITED, 137, ''],
    ['exit 143', Outcome.EXITED, 143, ''],
    ['kill -TERM $$', Outcome.DIED_OF, 0, 'SIGTERM'],
    ['kill -KILL $$', Outcome.DIED_OF, 0, 'SIGKILL'],
    ['kill -SEGV $$', Outcome.DIED_OF, 0, 'SIGSEGV'],
  ] as const)
    it(`ends as it did, which no exit code of runsc shows: ${how}`, async () => {
      const ended = await endOf({ runtime: 'custom', handler: 'h' }, dies(how));
      assert.deepEqual([ended.outcome, ended.exitCode, ended.signal], [outcome, exitCode, signal], ended.error.toString());
    });

  it('is sent exactly the requested signal, and its receipt contains what is known of it', async () => {
    const listens = `exports.handler = () => new Promise((done) => { process.on('SIGUSR2', () => done('USR2')); console.log('up'); });`;
    const listening = host.run(await host.start(NODE, { 'index.js': listens }));
    await host.line(listening, 'up');
    host.stop(listening, 'GRACEFUL', { killSignal: 12, gracePeriod: durationOfMs(20_000) });
    const returned = await host.ended(listening);
    assert.equal(returned.result.toString(), '"USR2"');
    assert.deepEqual(
      returned.stop?.steps.map(({ signal, disposition, delivery }) => [signal, disposition, delivery]),
      [[12, Disposition.CAUGHT, Delivery.DELIVERED]],
    );
    const deaf = host.run(await host.start(PYTHON, python('signal.signal(15, signal.SIG_IGN)\nprint("up", flush=True)\ntime.sleep(60)')));
    await host.line(deaf, 'up');
    host.stop(deaf, 'GRACEFUL', { gracePeriod: durationOfMs(300) });
    const killed = await host.ended(deaf);
    assert.deepEqual(
      killed.stop?.steps.map(({ signal, disposition, delivery }) => [signal, disposition, delivery]),
      [
        [15, Disposition.UNKNOWN, Delivery.DELIVERED],
        [9, Disposition.DEFAULT, Delivery.DELIVERED],
      ],
    );
    assert.equal(killed.outcome, Outcome.FORCE_KILLED);
  });

  it('is bounded and ended from outside: all of its sandbox is its user’s, in its cgroup, and goes at once', async () => {
    const forks = python(
      'for _ in range(3):\n    if os.fork() == 0:\n        os.setsid()\n        time.sleep(3600)\nprint("up", os.getuid(), flush=True)\ntime.sleep(60)',
    );
    const id = host.run(await host.start(PYTHON, forks));
    const uid = Number((await host.line(id, /^up/)).line?.text.split(' ')[1]);
    const pids = livingOf(uid);
    assert.ok(pids.length >= 5, `${pids.length} processes of the host`);
    for (const pid of pids) {
      assert.match(read(`/proc/${pid}/cgroup`), /\/evenfall\//);
      assert.match(read(`/proc/${pid}/status`), /^NoNewPrivs:\s+1$/m);
      assert.match(read(`/proc/${pid}/status`), /^Groups:\s*$/m);
    }
    host.stop(id, 'FORCE');
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.stop?.containment], [Outcome.FORCE_KILLED, Containment.PID_NAMESPACE]);
    assert.equal(ended.stop?.sweptProcessCount, 3, 'processes of the function, not of the sandbox');
    assert.ok((ended.stop?.durationMs ?? Infinity) < patient(2_000), `${ended.stop?.durationMs} ms`);
    assert.deepEqual(livingOf(uid), []);
  });

  it('reaches none of the channels of its init', async () => {
    const opens = [
      'found = []',
      'for fd in os.listdir("/proc/1/fd"):',
      '    if os.readlink("/proc/1/fd/" + fd) in ("/dev/null", "/proc"): continue',
      '    for way in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR):',
      '        try: os.close(os.open("/proc/1/fd/" + fd, way | os.O_NONBLOCK)); found.append(os.readlink("/proc/1/fd/" + fd))',
      '        except OSError: pass',
      'return [len(os.listdir("/proc/1/fd")) > 4, found]',
    ];
    assert.deepEqual(JSON.parse((await endOf(PYTHON, python(opens.join('\n')))).result.toString()), [true, []]);
  });

  it('has died of SIGKILL when its sandbox is killed', async () => {
    const id = host.run(await host.start(PYTHON, python('print("up", os.getuid(), flush=True)\ntime.sleep(60)')));
    const uid = Number((await host.line(id, /^up/)).line?.text.split(' ')[1]);
    const sandbox = livingOf(uid).find((pid) => read(`/proc/${pid}/cmdline`).startsWith('runsc-sandbox'));
    process.kill(sandbox ?? 0, 'SIGKILL');
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.signal], [Outcome.DIED_OF, 'SIGKILL']);
    assert.deepEqual(livingOf(uid), []);
  });

  it('finds nothing of runsc’s, and runsc nothing of the function’s variables', async () => {
    const looks = 'print("up", os.getuid(), flush=True)\ntime.sleep(0.5)\nreturn [os.listdir("/run/evenfall-gvisor"), os.environ["OWN"]]';
    const id = host.run(await host.start({ ...PYTHON, environment: { OWN: SECRET } }, python(looks)));
    const uid = Number((await host.line(id, /^up/)).line?.text.split(' ')[1]);
    const seen = livingOf(uid).map((pid) => read(`/proc/${pid}/environ`) + read(`/proc/${pid}/cmdline`));
    assert.ok(seen.length > 0);
    for (const each of seen) assert.equal(each.includes(SECRET), false);
    assert.deepEqual(JSON.parse((await host.ended(id)).result.toString()), [[], SECRET]);
  });

  it('is ended where it uses more memory than it has, whatever holds it', async () => {
    const hoards = 'hoard = []\nwhile True: hoard.append(bytearray(os.urandom(1)) * 2**20)';
    const ended = await endOf({ ...PYTHON, memoryMb: 128, timeout: durationOfMs(30_000) }, python(hoards));
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.OUT_OF_MEMORY, 434]);
    assert.ok(Number(ended.memoryBytes) > 100 * 2 ** 20, String(ended.memoryBytes));
  });

  it('leaves its memory to be counted without what is in temporary files', async () => {
    const writes = 'with open("/tmp/f", "wb") as f:\n    for _ in range(200): f.write(bytes(2**20))\ntime.sleep(1)\nreturn "whole"';
    const ended = await endOf({ ...PYTHON, memoryMb: 64, tmpMb: 256 }, python(writes));
    assert.equal(ended.result.toString(), '"whole"', ended.error.toString());
  });
});

describe('An agent that is to use gVisor', { skip }, () => {
  const folder = tempDir('gvisor-agent');
  after(() => folder.remove());
  const examine = (settings: object) =>
    examineHost(realpathSync(folder.path), findInterpreters('/usr/bin:/bin', undefined), { sandbox: 'gvisor', ...settings });
  const runsc = (script: string): string => {
    const bin = join(folder.path, `bin-${script.length}`);
    mkdirSync(bin, { recursive: true });
    writeFileSync(join(bin, 'runsc'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(bin, 'runsc'), 0o755);
    return `${bin}:/usr/bin:/bin`;
  };

  it('does not start where functions are to share the host’s network', async () => {
    await assert.rejects(examine({ network: 'host' }), /EVENFALL_AGENT_SANDBOX is gvisor and EVENFALL_AGENT_NETWORK is host/);
  });

  it('does not start with a runsc that is none, or that does not work', async () => {
    await assert.rejects(examine({ searchPath: runsc('exit 0') }), /is gvisor, which does not work here: .*too old, or something else/);
    const knows = 'test "$1" = flags && { printf "  -rootless\\n  -network value\\n  -ignore-cgroups\\n"; exit; }';
    const broken = runsc(`${knows}\necho no kernel for you >&2; exit 128`);
    await assert.rejects(examine({ searchPath: broken }), /is gvisor, which does not work here: .*no kernel for you/);
  });
});
