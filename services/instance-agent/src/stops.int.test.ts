import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { patient } from '@evenfall/testkit';
import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import {
  KillSignal,
  SignalScope,
  Termination_Cause as Cause,
  Termination_Outcome as StopOutcome,
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
} from '@evenfall/contracts/v1/termination';
import { durationOfMs } from '@evenfall/time';
import { openCgroups } from './adapters/process/isolation/cgroups.ts';
import { childrenOf } from './adapters/process/proc-fs.ts';
import { errorOf, type Host, isAlive, readStat, startHost } from './testing/host.ts';

const example = (path: string): string => readFileSync(new URL(`../../../examples/functions/${path}`, import.meta.url), 'utf8');
const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const probe = openCgroups('probe');
const hasCgroups = probe !== undefined;
probe?.close();
const grace = (ms: number) => ({ gracePeriod: durationOfMs(ms) });

describe('Stopping an attempt', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  const begin = async (fn: Parameters<Host['start']>[0], files: Record<string, string>, line: string | RegExp) => {
    const instance = await host.start(fn, files);
    const id = host.run(instance);
    const found = await host.line(id, line);
    return { instance, id, text: found.line?.text ?? '' };
  };
  const stepsOf = (ended: AttemptResult) => (ended.stop?.steps ?? []).map((step) => [step.signal, step.disposition, step.delivery]);

  it('lets the sample of the SCF documentation return "END"', async () => {
    const { id, instance } = await begin(
      { runtime: 'python3', handler: 'index.main_handler' },
      { 'index.py': example('graceful-killer/index.py') },
      'False',
    );
    host.stop(id, 'GRACEFUL', grace(10_000));
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.statusCode, ended.result.toString()], [Outcome.RETURNED, 200, '"END"']);
    assert.equal(ended.stop?.outcome, StopOutcome.RETURNED);
    assert.deepEqual(stepsOf(ended), [[KillSignal.SIGTERM, Disposition.CAUGHT, Delivery.DELIVERED]]);
    assert.equal(ended.stop?.policy?.gracePeriod?.seconds, 10n);
    await host.line(id, 'do something before shutdown.');
    await host.line(id, 'Graceful shutdown.');
    const signalled = host.reports.filter((each) => each.eventId === id && each.report?.$case === 'signalSent');
    assert.equal(signalled.length, 1);
    await host.gone(instance);
  });

  it('does the same in Node, in an ES module', async () => {
    const { id } = await begin(NODE, { 'index.mjs': example('graceful-killer-node/index.mjs') }, 'working');
    host.stop(id, 'GRACEFUL', grace(10_000));
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.result.toString()], [Outcome.RETURNED, '"END"']);
    assert.deepEqual(stepsOf(ended), [[KillSignal.SIGTERM, Disposition.CAUGHT, Delivery.DELIVERED]]);
  });

  for (const [name, fn, files] of [
    ['python', PYTHON, { 'index.py': 'import time\ndef handler(e, c):\n    print("working")\n    time.sleep(60)\n' }],
    [
      'node',
      NODE,
      { 'index.js': 'exports.handler = async () => { console.log("working"); await new Promise((done) => setTimeout(done, 60000)); };' },
    ],
    ['a busy node', NODE, { 'index.js': 'exports.handler = async () => { console.log("working"); for (;;); };' }],
  ] as const) {
    it(`ends ${name} without a handler by the signal`, async () => {
      const { id } = await begin(fn, files, 'working');
      host.stop(id, 'GRACEFUL', grace(5_000));
      const ended = await host.ended(id);
      assert.deepEqual([ended.outcome, ended.statusCode, ended.signal], [Outcome.DIED_OF, 439, 'SIGTERM']);
      assert.deepEqual([ended.stop?.outcome, ended.stop?.signal], [StopOutcome.DIED_OF, 'SIGTERM']);
      assert.deepEqual(stepsOf(ended), [[KillSignal.SIGTERM, Disposition.DEFAULT, Delivery.DELIVERED]]);
      assert.ok((ended.stop?.durationMs ?? 1e9) < patient(1_000));
    });
  }

  for (const signal of ['SIGHUP', 'SIGINT', 'SIGUSR1', 'SIGUSR2'] as const) {
    it(`sends ${signal} where it is requested, and its default action happens in both runtimes`, async () => {
      const python = await begin(
        PYTHON,
        { 'index.py': 'import time\ndef handler(e, c):\n    print("working")\n    time.sleep(60)\n' },
        'working',
      );
      const node = await begin(
        NODE,
        { 'index.js': 'exports.handler = () => { console.log("working"); return new Promise(() => {}); };' },
        'working',
      );
      for (const { id } of [python, node]) {
        host.stop(id, 'GRACEFUL', { ...grace(5_000), killSignal: KillSignal[signal] });
        const ended = await host.ended(id);
        assert.deepEqual([ended.outcome, ended.signal], [Outcome.DIED_OF, signal]);
      }
    });
  }

  it('lets a Node function receive SIGUSR1', async () => {
    const { id } = await begin(
      NODE,
      {
        'index.js':
          'exports.handler = () => new Promise((done) => { process.on("SIGUSR1", () => done("received")); console.log("working"); });',
      },
      'working',
    );
    host.stop(id, 'GRACEFUL', { ...grace(5_000), killSignal: KillSignal.SIGUSR1 });
    const ended = await host.ended(id);
    assert.equal(ended.result.toString(), '"received"');
    assert.deepEqual(stepsOf(ended), [[KillSignal.SIGUSR1, Disposition.CAUGHT, Delivery.DELIVERED]]);
  });

  it('kills what ignores the signal when its grace is over, not before, and soon', async () => {
    const { id } = await begin(PYTHON, { 'index.py': example('ignores-sigterm/index.py') }, 'working');
    host.stop(id, 'GRACEFUL', grace(400));
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.FORCE_KILLED, 499]);
    assert.deepEqual([ended.stop?.outcome, ended.stop?.signal], [StopOutcome.FORCE_KILLED, 'SIGKILL']);
    const tookMs = ended.stop?.durationMs ?? 0;
    assert.ok(tookMs >= 400 && tookMs < patient(550), `${tookMs} ms`);
    assert.deepEqual(stepsOf(ended), [
      [KillSignal.SIGTERM, Disposition.IGNORED, Delivery.DELIVERED],
      [KillSignal.SIGKILL, Disposition.DEFAULT, Delivery.DELIVERED],
    ]);
    assert.equal(errorOf(ended)['statusCode'], 499);
  });

  it('reports that a signal is blocked', async () => {
    const code =
      'import signal, time\ndef handler(e, c):\n    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n    print("working")\n    time.sleep(60)\n';
    const { id } = await begin(PYTHON, { 'index.py': code }, 'working');
    host.stop(id, 'GRACEFUL', grace(50));
    assert.equal((await host.ended(id)).stop?.steps[0]?.disposition, Disposition.BLOCKED);
  });

  it('follows an escalation', async () => {
    const code =
      'import signal, time\ndef handler(e, c):\n    signal.signal(signal.SIGTERM, lambda *a: print("term"))\n    signal.signal(signal.SIGUSR1, lambda *a: print("usr1"))\n    print("working")\n    while True: time.sleep(60)\n';
    const { id } = await begin(PYTHON, { 'index.py': code }, 'working');
    const wait = (ms: number) => durationOfMs(ms);
    host.stop(id, 'GRACEFUL', {
      ...grace(100),
      escalation: [
        { signal: KillSignal.SIGUSR1, wait: wait(100) },
        { signal: KillSignal.SIGINT, wait: wait(5_000) },
      ],
    });
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.signal], [Outcome.DIED_OF, 'SIGINT']);
    assert.deepEqual(
      ended.stop?.steps.map((step) => step.signal),
      [KillSignal.SIGTERM, KillSignal.SIGUSR1, KillSignal.SIGINT],
    );
    await host.line(id, 'usr1');
  });

  it('may be shortened, not stretched, and force wins', async () => {
    const first = await begin(PYTHON, { 'index.py': example('ignores-sigterm/index.py') }, 'working');
    host.stop(first.id, 'GRACEFUL', grace(300));
    host.stop(first.id, 'GRACEFUL', grace(60_000));
    assert.ok(((await host.ended(first.id)).stop?.durationMs ?? 1e9) < patient(1_000));
    const second = await begin(PYTHON, { 'index.py': example('ignores-sigterm/index.py') }, 'working');
    host.stop(second.id, 'GRACEFUL', grace(60_000));
    host.stop(second.id, 'GRACEFUL', grace(100));
    assert.ok(((await host.ended(second.id)).stop?.durationMs ?? 1e9) < patient(1_000));
    const third = await begin(PYTHON, { 'index.py': example('ignores-sigterm/index.py') }, 'working');
    host.stop(third.id, 'GRACEFUL', grace(60_000));
    host.stop(third.id, 'FORCE');
    assert.equal((await host.ended(third.id)).outcome, Outcome.FORCE_KILLED);
  });

  it('does not let the timeout cut the grace short', async () => {
    const code =
      'import signal, time\ndef handler(e, c):\n    stop = []\n    signal.signal(signal.SIGTERM, lambda *a: stop.append(1))\n    print("working")\n    while not stop: time.sleep(0.01)\n    time.sleep(0.8)\n    return "END"\n';
    const { id } = await begin({ ...PYTHON, timeout: durationOfMs(500) }, { 'index.py': code }, 'working');
    host.stop(id, 'GRACEFUL', grace(5_000));
    assert.equal((await host.ended(id)).result.toString(), '"END"');
  });

  it('by force kills at once, with grandchildren in sessions of their own', async () => {
    const { id, text, instance } = await begin(PYTHON, { 'index.py': example('spawns-grandchild/index.py') }, /^grandchild \d+$/);
    const grandchild = host.pidOf(instance, text.split(' ')[1]);
    assert.ok(isAlive(grandchild));
    host.stop(id, 'FORCE');
    const ended = await host.ended(id);
    assert.equal(isAlive(grandchild), false);
    assert.deepEqual([ended.outcome, ended.statusCode, ended.stop?.outcome], [Outcome.FORCE_KILLED, 499, StopOutcome.FORCE_KILLED]);
    assert.equal(ended.stop?.sweptProcessCount, 1);
    assert.ok((ended.stop?.durationMs ?? 1e9) < patient(500));
    await host.gone(instance);
  });

  // Only a cgroup holds such a process: without one, the sweep knows it by nothing.
  it('by force ends it although a process has stopped its launcher', async () => {
    const instance = await host.start(PYTHON, {
      'index.py': 'import time\ndef handler(e, c):\n    print("up", flush=True)\n    time.sleep(60)\n',
    });
    const id = host.run(instance);
    await host.line(id, 'up');
    for (const pid of childrenOf(process.pid))
      if (readFileSync(`/proc/${pid}/comm`, 'latin1').startsWith('evenfall-launc')) process.kill(pid, 'SIGSTOP');
    host.stop(id, 'FORCE');
    assert.equal((await host.ended(id)).outcome, Outcome.FORCE_KILLED);
    for (const pid of childrenOf(process.pid)) process.kill(pid, 'SIGCONT');
  });

  it('finds an orphan that left no trace in its environment', { skip: !hasCgroups }, async () => {
    const code =
      'import os, time\ndef handler(e, c):\n    r, w = os.pipe()\n    if os.fork() == 0:\n        os.setsid()\n        pid = os.fork()\n        if pid: os.write(w, str(pid).encode()); os._exit(0)\n        os.execve("/bin/sleep", ["sleep", "3600"], {})\n    print("orphan", os.read(r, 20).decode())\n    time.sleep(60)\n';
    const { id, text, instance } = await begin(PYTHON, { 'index.py': code }, /^orphan \d+$/);
    const orphan = host.pidOf(instance, text.split(' ')[1]);
    host.stop(id, 'GRACEFUL', grace(1_000));
    const ended = await host.ended(id);
    assert.equal(isAlive(orphan), false);
    assert.equal(ended.stop?.sweptProcessCount, 1);
  });

  it('reaches the complete group where that is its scope', async () => {
    const code =
      'import subprocess, signal, time\ndef handler(e, c):\n    child = subprocess.Popen(["sleep", "3600"])\n    done = []\n    signal.signal(signal.SIGTERM, lambda *a: done.append(1))\n    print("working")\n    return child.wait()\n';
    const { id } = await begin(PYTHON, { 'index.py': code }, 'working');
    host.stop(id, 'GRACEFUL', { ...grace(5_000), signalScope: SignalScope.GROUP });
    assert.equal((await host.ended(id)).result.toString(), '-15');
  });

  it('continues a stopped process first', async () => {
    const { id, text, instance } = await begin(
      PYTHON,
      { 'index.py': 'import os, time\ndef handler(e, c):\n    print("pid", os.getpid())\n    time.sleep(60)\n' },
      /^pid/,
    );
    const pid = host.pidOf(instance, text.split(' ')[1]);
    process.kill(pid, 'SIGSTOP');
    await host.until(() => readStat(pid)?.state === 'T', 'stopped');
    host.stop(id, 'GRACEFUL', grace(5_000));
    assert.equal((await host.ended(id)).signal, 'SIGTERM');
  });

  it('revokes what waits for an instance that starts', async () => {
    const instance = await host.start(PYTHON, { 'index.py': 'import time\ntime.sleep(0.3)\ndef handler(e, c):\n    return 1\n' });
    const [first, second] = [host.run(instance), host.run(instance)];
    host.stop(first, 'GRACEFUL');
    await host.until(() => host.reports.find((each) => each.eventId === first && each.report?.$case === 'revoked'), 'revoked');
    assert.equal((await host.ended(second)).statusCode, 200);
    assert.ok(!host.reports.some((each) => each.eventId === first && each.report?.$case === 'started'));
  });

  it('that comes too late is marked so, and one of an unknown attempt is lost', async () => {
    const id = host.run(await host.start(PYTHON, { 'index.py': example('echo-python/index.py') }));
    await host.ended(id);
    host.stop(id, 'GRACEFUL');
    assert.equal((await host.ended(id, 2)).stop?.outcome, StopOutcome.ENDED_BEFORE_SIGNAL);
    const unknown = '00000000-0000-7000-8000-000000000000';
    host.stop(unknown, 'FORCE');
    assert.deepEqual([(await host.ended(unknown)).outcome, (await host.ended(unknown)).statusCode], [Outcome.LOST, 500]);
  });
});

describe('Stopping an instance', () => {
  it('runs PreStop, then signals, and leaves nothing', async () => {
    const host = await startHost();
    const code = 'import os\ndef handler(e, c):\n    return os.getpid()\ndef pre_stop(c):\n    print("pre-stop of", os.getpid())\n';
    const instance = await host.start(
      { ...PYTHON, preStop: { handler: 'index.pre_stop', timeout: durationOfMs(1_000) } },
      { 'index.py': code },
    );
    const named = (await host.ended(host.run(instance))).result.toString();
    const pid = host.pidOf(instance, named);
    host.send({ stopInstances: [{ instanceId: instance, cause: Cause.IDLE }] });
    assert.equal(await host.gone(instance), false);
    assert.equal(isAlive(pid), false);
    await host.line(instance, `pre-stop of ${named}`);
    await host.dispose();
  });

  it('kills everything that runs when the lease runs out, and attaches again', async () => {
    const host = await startHost({ leaseMs: 600 });
    const instance = await host.start(PYTHON, {
      'index.py': 'import os, time\ndef handler(e, c):\n    print("pid", os.getpid())\n    time.sleep(60)\n',
    });
    const id = host.run(instance);
    const pid = host.pidOf(instance, (await host.line(id, /^pid/)).line?.text.split(' ')[1]);
    host.isUnreachable = true;
    host.breakStream();
    await host.until(() => !isAlive(pid), 'the process killed');
    host.isUnreachable = false;
    assert.equal((await host.ended(id)).outcome, Outcome.LOST);
    await host.dispose();
  });

  it('accepts nothing more by a stream whose lease ran out', async () => {
    const host = await startHost({ leaseMs: 600 });
    const instance = await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return 1\n' });
    await host.ended(host.run(instance));
    const hellos = host.hellos.length;
    host.isUnreachable = true; // the stream is open without answers: a suspended scheduler
    await host.until(() => !host.agent.isAttached(), 'the stream ended');
    const late = host.run(instance); // sent by the old stream, as by a scheduler that goes on
    host.isUnreachable = false;
    await host.until(() => host.hellos.length > hellos, 'a new hello');
    const next = host.run(instance);
    await host.ended(next);
    assert.deepEqual(
      host.reports.filter(({ eventId }) => eventId === late),
      [],
    );
    await host.dispose();
  });

  it('says hello again where no answer comes in time: its lease would be over as soon as it began', async () => {
    const host = await startHost({ leaseMs: 600 });
    host.silent = true;
    host.breakStream();
    const { length } = host.hellos;
    await host.until(() => host.hellos.length >= length + 3, 'hellos');
    assert.equal(host.agent.isAttached(), false);
    host.silent = false;
    await host.until(() => host.agent.isAttached(), 'the agent attached');
    await host.dispose();
  });

  it('of the agent ends every attempt', async () => {
    const host = await startHost();
    const code = 'import os, time\ndef handler(e, c):\n    print("pid", os.getpid())\n    time.sleep(60)\n';
    const instance = await host.start(PYTHON, { 'index.py': code });
    const id = host.run(instance);
    const pid = host.pidOf(instance, (await host.line(id, /^pid/)).line?.text.split(' ')[1]);
    await host.dispose();
    assert.equal(isAlive(pid), false);
    assert.equal((await host.ended(id)).outcome, Outcome.DRAINED);
  });
});
