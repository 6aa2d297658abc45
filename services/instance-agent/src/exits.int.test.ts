// What a function still does after it has answered: while it is stopped it has time for that, and otherwise it is left in peace until it is free.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { patient } from '@evenfall/testkit';
import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import {
  KillSignal,
  ProcessExit_Kind as ExitKind,
  SignalScope,
  TerminationPolicy,
  TerminationStep_Disposition as Disposition,
  TerminationStep_Reception as Reception,
} from '@evenfall/contracts/v1/termination';
import { durationOfMs } from '@evenfall/time';
import { type Host, startHost } from './testing/host.ts';
import { reasonToSkip, SANDBOXES } from './testing/sandboxes.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const CUSTOM = { runtime: 'custom', handler: 'x' };
const grace = (ms: number) => ({ gracePeriod: durationOfMs(ms) });

const FLUSHES_IN_PYTHON = `
import atexit, signal, threading, time
stop = threading.Event()
def writer():
    stop.wait()
    print("flushing", flush=True); time.sleep(0.3); print("flushed", flush=True)
atexit.register(lambda: print("atexit ran", flush=True))
def handler(event, context):
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=writer).start()
    print("working", flush=True)
    while not stop.wait(0.02): pass
    return "END"
`;
const FLUSHES_IN_NODE = `
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
exports.handler = async () => {
  let stopped = false;
  process.once('SIGTERM', async () => { stopped = true; console.log('flushing'); await pause(300); console.log('flushed'); });
  process.on('exit', () => console.log('atexit ran'));
  console.log('working');
  while (!stopped) await pause(20);
  return 'END';
};
`;
const FLUSHES_IN_A_SERVER = `#!/usr/bin/env node
const http = require('node:http');
const waiting = [];
const server = http.createServer((request, response) => { console.log('working'); waiting.push(response); });
process.on('SIGTERM', () => {
  for (const response of waiting) response.setHeader('Connection', 'close').end('"END"');
  console.log('flushing');
  server.close(() => setTimeout(() => { console.log('flushed'); process.exitCode = 3; }, 200));
});
process.on('exit', () => console.log('atexit ran'));
server.listen(process.env.PORT, '0.0.0.0');
`;
/** Answers once it has a SIGTERM, tidies up for a while, and then requests its next event. */
const ASKS_AGAIN = `#!/usr/bin/env python3
import os, signal, time, urllib.request
base = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
stopped = []
signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
while True:
    with urllib.request.urlopen(base + "next") as reply:
        event = reply.headers["Lambda-Runtime-Aws-Request-Id"]; reply.read()
    print("working", flush=True)
    while not stopped: time.sleep(0.02)
    urllib.request.urlopen(base + event + "/response", b'"END"').read()
    print("flushing", flush=True); time.sleep(0.3); print("flushed", flush=True)
`;

/** The same in the way of FC's client: it requests its next event while it works on this one. It exits once it has tidied up. */
const ASKS_WHILE_IT_WORKS = `#!/usr/bin/env python3
import os, signal, threading, time, urllib.request
base = "http://" + os.environ["FC_RUNTIME_API"] + "/2020-11-11/runtime/invocation/"
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
def work(event):
    print("working", flush=True)
    stopped.wait()
    urllib.request.urlopen(base + event + "/response", b'"END"').read()
    print("flushing", flush=True); time.sleep(0.3); print("flushed", flush=True)
    os._exit(4)
def serve():
    while True:
        with urllib.request.urlopen(base + "next") as reply:
            reply.read()
            threading.Thread(target=work, args=(reply.headers["x-fc-request-id"],)).start()
threading.Thread(target=serve, daemon=True).start()
while True: time.sleep(0.02)
`;

const skips = new Map<string, string | false>();
for (const sandbox of SANDBOXES) skips.set(sandbox, sandbox === 'process' ? false : await reasonToSkip(sandbox, []));
const skipOf = (sandbox: string): string | false => skips.get(sandbox) ?? false;
for (const sandbox of SANDBOXES) {
  describe(`After the answer to a graceful stop, in the sandbox ${sandbox}`, { skip: skipOf(sandbox) }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox });
    });
    after(() => host.dispose());

    const stopWorking = async (fn: Parameters<Host['start']>[0], files: Record<string, string>, policy: Partial<TerminationPolicy>) => {
      const instance = await host.start(fn, files);
      const id = host.run(instance);
      await host.line(id, 'working');
      host.stop(id, 'GRACEFUL', policy);
      const ended = await host.ended(id);
      await host.gone(instance);
      return { id, ended, texts: host.lines.filter(({ eventId }) => eventId === id).map(({ line }) => line?.text) };
    };
    const returnedEnd = (ended: AttemptResult): void =>
      assert.deepEqual([ended.outcome, ended.statusCode, ended.result.toString()], [Outcome.RETURNED, 200, '"END"']);

    for (const [runtime, fn, files, exitCode] of [
      ['python3', PYTHON, { 'index.py': FLUSHES_IN_PYTHON }, 0],
      ['nodejs', NODE, { 'index.js': FLUSHES_IN_NODE }, 0],
      ['web', { runtime: 'web', handler: 'x' }, { bootstrap: FLUSHES_IN_A_SERVER }, 3],
    ] as const)
      it(`${runtime} has the rest of its grace to clean up and exit by itself`, async () => {
        const { ended, texts } = await stopWorking(fn, files, grace(8_000));
        returnedEnd(ended);
        assert.deepEqual(texts, ['working', 'flushing', 'flushed', 'atexit ran']);
        const exit = ended.stop?.exit;
        assert.deepEqual([exit?.kind, exit?.exitCode, exit?.signal], [ExitKind.EXITED, exitCode, '']);
        const tookMs = exit?.durationMs ?? 0;
        assert.ok(tookMs >= 190 && tookMs < 6_000, `${tookMs}`);
        assert.ok((exit?.answerTime?.getTime() ?? 0) <= (ended.endTime?.getTime() ?? 0));
      });

    it('nodejs learns that it gets no more time, and goes on', async () => {
      const asks = FLUSHES_IN_NODE.replace(
        "console.log('flushing'); await pause(300);",
        'await pause(100); console.log((await evenfall.extend(500)).reason);',
      );
      const { ended, texts } = await stopWorking(NODE, { 'index.js': asks }, grace(8_000));
      returnedEnd(ended);
      assert.deepEqual(texts, ['working', 'The event has been answered', 'flushed', 'atexit ran']);
    });

    it('custom has it until it requests its next event', async () => {
      const { ended, texts } = await stopWorking(CUSTOM, { bootstrap: ASKS_AGAIN }, grace(8_000));
      returnedEnd(ended);
      assert.deepEqual(texts, ['working', 'flushing', 'flushed']);
      assert.deepEqual([ended.stop?.exit?.kind, ended.stop?.exit?.signal], [ExitKind.KILLED, 'SIGKILL']);
      assert.ok((ended.stop?.exit?.durationMs ?? 1e9) < 4_000, 'not until its grace is over');
    });

    it('custom has it also if it requested its next event while it worked', async () => {
      const { ended, texts } = await stopWorking(CUSTOM, { bootstrap: ASKS_WHILE_IT_WORKS }, grace(8_000));
      returnedEnd(ended);
      assert.deepEqual(texts, ['working', 'flushing', 'flushed']);
      assert.deepEqual([ended.stop?.exit?.kind, ended.stop?.exit?.exitCode], [ExitKind.EXITED, 4]);
    });

    it('is killed when its exit grace is over, or at once where the policy says so', async () => {
      const late = await stopWorking(NODE, { 'index.js': FLUSHES_IN_NODE }, { ...grace(8_000), exitGrace: durationOfMs(100) });
      returnedEnd(late.ended);
      assert.deepEqual(late.texts, ['working', 'flushing']);
      assert.equal(late.ended.stop?.exit?.kind, ExitKind.KILLED);
      const atOnce = await stopWorking(PYTHON, { 'index.py': FLUSHES_IN_PYTHON }, { ...grace(8_000), exitAfterAnswer: true });
      returnedEnd(atOnce.ended);
      assert.equal(atOnce.texts.includes('flushed'), false);
      assert.ok((atOnce.ended.stop?.exit?.durationMs ?? 1e9) < patient(200));
    });

    it('may be ended sooner by force, and has returned all the same', async () => {
      const instance = await host.start(PYTHON, { 'index.py': FLUSHES_IN_PYTHON.replace('0.3', '30') });
      const id = host.run(instance);
      await host.line(id, 'working');
      host.stop(id, 'GRACEFUL', grace(8_000));
      await host.line(id, 'flushing');
      host.stop(id, 'FORCE');
      const ended = await host.ended(id);
      returnedEnd(ended);
      assert.equal(ended.stop?.exit?.kind, ExitKind.KILLED);
    });
  });
}

describe('An instance that is retired after a failure', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  const HOOKED = {
    python3: [
      PYTHON,
      `
import signal, sys
def on_term(*_):
    print("signalled", flush=True); sys.exit(0)
def handler(event, context):
    signal.signal(signal.SIGTERM, on_term)
    raise Exception("boom")
def pre_stop(context):
    print("hook ran", flush=True)
`,
    ],
    nodejs: [
      NODE,
      `
process.on('SIGTERM', () => { console.log('signalled'); process.exit(0); });
exports.handler = async () => { throw new Error('boom'); };
exports.pre_stop = async () => console.log('hook ran');
`,
    ],
  } as const;
  for (const runtime of ['python3', 'nodejs'] as const)
    it(`gets its PreStop hook and its signal: ${runtime}`, async () => {
      const [fn, code] = HOOKED[runtime];
      const file = runtime === 'python3' ? 'index.py' : 'index.js';
      const preStop = { handler: 'index.pre_stop', timeout: durationOfMs(2_000) };
      const instance = await host.start({ ...fn, preStop }, { [file]: code });
      const id = host.run(instance);
      const ended = await host.ended(id);
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.THREW, 430]);
      await host.gone(instance);
      await host.line(instance, 'hook ran'); // its lines are the instance's, not the event's
      await host.line(instance, 'signalled');
    });
});

for (const sandbox of SANDBOXES) {
  describe(`A stop of a whole group, in the sandbox ${sandbox}`, { skip: skipOf(sandbox) }, () => {
    let host: Host;
    before(async () => {
      host = await startHost({ sandbox });
    });
    after(() => host.dispose());

    const SHELL = '#!/bin/sh\necho "a shell starts the program"\n./program\n';
    const PROGRAM = ASKS_AGAIN.replace('while True:', 'for _ in range(1):');
    const begin = async (runtime: string, program: string, policy: Partial<TerminationPolicy>) => {
      const instance = await host.start({ runtime, handler: 'x' }, { bootstrap: SHELL, program });
      const id = host.run(instance);
      await host.line(id, 'working');
      host.stop(id, 'GRACEFUL', { signalScope: SignalScope.GROUP, ...policy });
      return { id, instance, ended: await host.ended(id) };
    };

    for (const [runtime, program] of [
      ['custom', PROGRAM],
      ['web', FLUSHES_IN_A_SERVER],
    ] as const)
      it(`lasts until its last process has ended: a shell that dies of the signal, ${runtime}`, async () => {
        const { id, ended } = await begin(runtime, program, grace(8_000));
        assert.deepEqual([ended.outcome, ended.statusCode, ended.result.toString()], [Outcome.RETURNED, 200, '"END"']);
        await host.line(id, 'flushed');
        assert.deepEqual([ended.stop?.exit?.kind, ended.stop?.exit?.signal], [ExitKind.DIED_OF, 'SIGTERM'], 'of the leader');
        assert.equal(ended.stop?.sweptProcessCount, 0);
      });

    it('kills what is left of it when the grace is over', async () => {
      const stubborn = ASKS_AGAIN.replace('lambda *_: stopped.append(1)', 'signal.SIG_IGN');
      const { ended } = await begin('custom', stubborn, grace(400));
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.FORCE_KILLED, 499]);
      assert.deepEqual(
        ended.stop?.steps.map(({ signal }) => signal),
        [KillSignal.SIGTERM, KillSignal.SIGKILL],
      );
      assert.ok((ended.stop?.durationMs ?? 0) >= 400);
    });

    it('sends what remains of an escalation to those that are left', async () => {
      const stubborn = ASKS_AGAIN.replace(
        'signal.signal(signal.SIGTERM,',
        'signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT,',
      ).replace('while True:', 'for _ in range(1):');
      const escalation = [{ signal: KillSignal.SIGINT, wait: durationOfMs(5_000) }];
      const { ended } = await begin('custom', stubborn, { ...grace(300), escalation });
      assert.deepEqual([ended.outcome, ended.result.toString()], [Outcome.RETURNED, '"END"']);
      assert.deepEqual(
        ended.stop?.steps.map(({ signal }) => signal),
        [KillSignal.SIGTERM, KillSignal.SIGINT],
      );
    });
  });
}

describe('A signal that no handler shows', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  const BLOCK = 'signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})';
  const SIGNALFD = `
import ctypes, os, select, signal
libc = ctypes.CDLL(None, use_errno=True)
def handler(event, context):
    ${BLOCK}
    mask = ctypes.create_string_buffer((1 << (signal.SIGTERM - 1)).to_bytes(8, "little") + bytes(120))
    fd = libc.signalfd(-1, mask, 0)
    print("working", flush=True)
    select.select([fd], [], [])
    os.read(fd, 128)
    return "END"
`;
  const SIGWAIT = `
import signal
def handler(event, context):
    ${BLOCK}
    print("working", flush=True)
    signal.sigwait({signal.SIGTERM})
    return "END"
`;
  const OTHER_THREAD = `
import signal, threading, time
stop = threading.Event()
def other():
    while not stop.wait(0.02): pass
def handler(event, context):
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.Thread(target=other).start()
    ${BLOCK}
    print("working", flush=True)
    while not stop.wait(0.02): pass
    return "END"
`;
  const BLOCKED = `
import signal, time
def handler(event, context):
    ${BLOCK}
    print("working", flush=True)
    time.sleep(60)
`;
  for (const [name, code, dispositions, reception] of [
    ['signalfd', SIGNALFD, [Disposition.BLOCKED], Reception.TAKEN],
    // While a thread waits in sigwait the kernel shows the signal as unblocked.
    ['sigwait', SIGWAIT, [Disposition.BLOCKED, Disposition.DEFAULT], Reception.TAKEN],
    ['a thread that does not block it', OTHER_THREAD, [Disposition.CAUGHT], Reception.UNSPECIFIED],
    ['nothing', BLOCKED, [Disposition.BLOCKED], Reception.PENDING],
  ] as const)
    it(`is reported as it was: taken by ${name}`, async () => {
      const instance = await host.start(PYTHON, { 'index.py': code });
      const id = host.run(instance);
      await host.line(id, 'working');
      host.stop(id, 'GRACEFUL', grace(500));
      const ended = await host.ended(id);
      const step = ended.stop?.steps[0];
      assert.ok(step && (dispositions as readonly Disposition[]).includes(step.disposition), String(step?.disposition));
      assert.equal(step.reception, reception);
      assert.equal(ended.outcome, name === 'nothing' ? Outcome.FORCE_KILLED : Outcome.RETURNED);
    });
});
