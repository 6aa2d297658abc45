import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { StopAttempt, type AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import {
  KillSignal,
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  Termination_Outcome as StopOutcome,
  TerminationChange_Effect as Effect,
  TerminationPolicy,
  type TerminationByCause,
} from '@evenfall/contracts/v1/termination';
import { durationOfMs, msOfDuration } from '@evenfall/time';
import { type Host, isAlive, startHost } from './testing/host.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const policy = (more: Partial<TerminationPolicy>): TerminationPolicy => TerminationPolicy.create(more);
const byCause = (more: Partial<TerminationByCause>): TerminationByCause => ({
  timeout: undefined,
  drain: undefined,
  update: undefined,
  ...more,
});
const stepsOf = (ended: AttemptResult): string[] =>
  (ended.stop?.steps ?? []).map(({ signal }) => Object.entries(KillSignal).find(([, value]) => value === signal)?.[0] ?? '?');

const TIDY = `import signal, time
stop = []
def handler(e, c):
    signal.signal(signal.SIGTERM, lambda *a: stop.append("SIGTERM"))
    signal.signal(signal.SIGINT, lambda *a: stop.append("SIGINT"))
    print("working")
    while not stop: time.sleep(0.01)
    return stop[0]
`;
const DEAF = `import os, signal, time
def handler(e, c):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("working", os.getpid())
    while True: time.sleep(0.01)
`;

describe('A timeout', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());
  const soft = { timeout: durationOfMs(1_500), terminationByCause: byCause({ timeout: policy({ gracePeriod: durationOfMs(1_000) }) }) };

  it('may be announced by a signal, and what returns in time has returned', async () => {
    const ended = await host.ended(host.run(await host.start({ ...PYTHON, ...soft }, { 'index.py': TIDY })));
    assert.deepEqual([ended.outcome, ended.statusCode, ended.result.toString()], [Outcome.RETURNED, 200, '"SIGTERM"']);
    assert.deepEqual([ended.stop?.cause, ended.stop?.mode, ended.stop?.outcome], [Cause.TIMEOUT, Mode.GRACEFUL, StopOutcome.RETURNED]);
    assert.deepEqual(stepsOf(ended), ['SIGTERM']);
    assert.ok(ended.durationMs >= 400, `signalled a second before the timeout, not ${ended.durationMs} ms after the start`);
  });

  it('that is announced and not heeded is a timeout', async () => {
    const ended = await host.ended(host.run(await host.start({ ...PYTHON, ...soft }, { 'index.py': DEAF })));
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.TIMED_OUT, 433]);
    assert.deepEqual([ended.stop?.cause, ended.stop?.outcome], [Cause.TIMEOUT, StopOutcome.FORCE_KILLED]);
    assert.deepEqual(stepsOf(ended), ['SIGTERM', 'SIGKILL']);
    assert.ok(ended.durationMs >= 1_499);
  });

  it('that is not announced leaves a receipt all the same', async () => {
    const ended = await host.ended(host.run(await host.start({ ...PYTHON, timeout: durationOfMs(300) }, { 'index.py': DEAF })));
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.TIMED_OUT, 433]);
    assert.deepEqual([ended.stop?.cause, ended.stop?.mode, stepsOf(ended)], [Cause.TIMEOUT, Mode.FORCE, ['SIGKILL']]);
  });
});

describe('A function', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());
  const grace = (ms: number) => ({ gracePeriod: durationOfMs(ms) });
  const termination = policy({ maxGracePeriod: durationOfMs(2_000) });

  it('may ask for more time to stop, up to its longest grace period (Python)', async () => {
    const code = `import evenfall, signal, time
def handler(e, c):
    got = [evenfall.extend(1).reason]
    def on_term(*a):
        got.append(evenfall.extend(0.8).granted)
        got.append(evenfall.extend(30).reason)
    signal.signal(signal.SIGTERM, on_term)
    print("working")
    while len(got) < 3: time.sleep(0.01)
    time.sleep(1)
    return got
`;
    const id = host.run(await host.start({ ...PYTHON, termination }, { 'index.py': code }));
    await host.line(id, 'working');
    host.stop(id, 'GRACEFUL', grace(500));
    const ended = await host.ended(id);
    assert.deepEqual(JSON.parse(ended.result.toString() || 'null'), [
      'The event is not being stopped gracefully',
      0.8,
      'The longest grace period of the function is used up',
    ]);
    const notes = (ended.stop?.extensions ?? []).map(({ requested, granted }) => [msOfDuration(requested), msOfDuration(granted)]);
    assert.deepEqual(notes[0], [800, 800]);
    assert.equal(notes[1]?.[0], 30_000);
    assert.ok((notes[1]?.[1] ?? 0) > 600 && (notes[1]?.[1] ?? 0) <= 700, 'what is left of two seconds from the first signal');
    assert.ok((ended.stop?.durationMs ?? 0) > 500, 'it lived longer than its grace period');
  });

  it('may ask for more time to stop (Node)', async () => {
    const code = `exports.handler = () => new Promise((done) => {
  process.once('SIGTERM', async () => {
    const first = await evenfall.extend(1000);
    setTimeout(() => done(first), 700);
  });
  console.log('working');
  setInterval(() => {}, 1000);
});
`;
    const id = host.run(await host.start({ ...NODE, termination }, { 'index.js': code }));
    await host.line(id, 'working');
    host.stop(id, 'GRACEFUL', grace(400));
    assert.deepEqual(JSON.parse((await host.ended(id)).result.toString() || 'null'), { grantedMs: 1000, reason: '' });
  });

  it('is stopped sooner by a second request, never later, and the receipt notes it', async () => {
    const id = host.run(await host.start(PYTHON, { 'index.py': DEAF }));
    await host.line(id, /^working/);
    host.stop(id, 'GRACEFUL', grace(60_000));
    host.stop(id, 'GRACEFUL', grace(60_000)); // the same, repeated
    host.stop(id, 'GRACEFUL', grace(300_000));
    host.stop(id, 'GRACEFUL', grace(30_000));
    host.stop(id, 'FORCE');
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.stop?.mode, stepsOf(ended)], [Outcome.FORCE_KILLED, Mode.FORCE, ['SIGTERM', 'SIGKILL']]);
    assert.deepEqual(
      ended.stop?.changes.map(({ mode, gracePeriod, effect }) => [mode, msOfDuration(gracePeriod), effect]),
      [
        [Mode.GRACEFUL, 300_000, Effect.KEPT],
        [Mode.GRACEFUL, 30_000, Effect.SHORTENED],
        [Mode.FORCE, 0, Effect.FORCED],
      ],
    );
  });
});

describe('A host that drains', () => {
  const drain = (host: Host, ms: number): void => host.send({ drain: { deadline: durationOfMs(ms) } });
  const saysDraining = (host: Host) => host.until(() => host.drains.length > 0, 'that it drains');

  it('stops what is idle, lets what runs finish, and accepts nothing new', async () => {
    const host = await startHost();
    const idle = await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return 1\n' });
    await host.ended(host.run(idle));
    const busy = await host.start(PYTHON, {
      'index.py': 'import time\ndef handler(e, c):\n    print("go")\n    time.sleep(1)\n    return 2\n',
    });
    const id = host.run(busy);
    await host.line(id, 'go');
    drain(host, 20_000);
    await saysDraining(host);
    await host.gone(idle);
    await host.gone(await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return 3\n' }));
    const late = host.run(busy);
    await host.until(() => host.reports.find((each) => each.eventId === late && each.report?.$case === 'throttled'), 'given back');
    const ended = await host.ended(id);
    assert.deepEqual([ended.statusCode, ended.stop], [200, undefined]);
    await host.gone(busy);
    await host.dispose();
  });

  it('gives a long-lived function notice, by the signal its environment names, and kills it at the deadline', async () => {
    const host = await startHost();
    const long = { ...PYTHON, timeout: durationOfMs(3_600_000) };
    const environments = [{}, { X_YCF_GRACEFUL_SHUTDOWN_SIGNAL_SIGINT: '1' }, { X_YCF_NO_GRACEFUL_SHUTDOWN_SIGNAL: '1' }];
    const ids: string[] = [];
    for (const environment of environments) ids.push(host.run(await host.start({ ...long, environment }, { 'index.py': TIDY })));
    for (const id of ids) await host.line(id, 'working');
    drain(host, 1_500);
    const [term, int, none] = [await host.ended(ids[0] ?? ''), await host.ended(ids[1] ?? ''), await host.ended(ids[2] ?? '')];
    assert.deepEqual([term.result.toString(), term.stop?.cause, stepsOf(term)], ['"SIGTERM"', Cause.DRAIN, ['SIGTERM']]);
    assert.deepEqual([int.result.toString(), stepsOf(int)], ['"SIGINT"', ['SIGINT']]);
    assert.equal(msOfDuration(term.stop?.policy?.gracePeriod), 600_000);
    assert.deepEqual([none.outcome, none.statusCode, stepsOf(none)], [Outcome.DRAINED, 500, ['SIGKILL']]);
    await host.dispose();
  });

  it('goes by the policy of the function, if it has one', async () => {
    const host = await startHost();
    const terminationByCause = byCause({ drain: policy({ killSignal: KillSignal.SIGINT, gracePeriod: durationOfMs(300) }) });
    const tidy = host.run(await host.start({ ...PYTHON, terminationByCause }, { 'index.py': TIDY }));
    const deaf = host.run(await host.start({ ...PYTHON, terminationByCause }, { 'index.py': DEAF.replaceAll('SIGTERM', 'SIGINT') }));
    await host.line(tidy, 'working');
    await host.line(deaf, /^working/);
    drain(host, 60_000);
    assert.equal((await host.ended(tidy)).result.toString(), '"SIGINT"');
    const ended = await host.ended(deaf);
    assert.deepEqual([ended.outcome, stepsOf(ended)], [Outcome.DRAINED, ['SIGINT', 'SIGKILL']]);
    await host.dispose();
  });

  it('is what happens when the agent is stopped: it leaves when nothing runs any more', async () => {
    const host = await startHost({ drainDeadlineMs: 60_000 });
    const instance = await host.start(PYTHON, {
      'index.py': 'import os, time\ndef handler(e, c):\n    print("go", os.getpid())\n    time.sleep(0.7)\n    return 2\n',
    });
    const id = host.run(instance);
    const pid = host.pidOf(instance, (await host.line(id, /^go/)).line?.text.split(' ')[1]);
    await host.dispose();
    assert.equal((await host.ended(id)).statusCode, 200);
    assert.equal(isAlive(pid), false);
  });

  it('prefers a request of a caller to the drain', async () => {
    const host = await startHost();
    const terminationByCause = byCause({ drain: policy({ gracePeriod: durationOfMs(60_000) }) });
    const id = host.run(await host.start({ ...PYTHON, terminationByCause }, { 'index.py': DEAF }));
    await host.line(id, /^working/);
    drain(host, 90_000);
    await host.until(() => host.reports.find(({ report }) => report?.$case === 'signalSent'), 'the signal of the drain');
    host.send({ stops: [StopAttempt.create({ eventId: id, attempt: 1, cause: Cause.USER, mode: Mode.FORCE })] });
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.statusCode, ended.stop?.cause], [Outcome.FORCE_KILLED, 499, Cause.USER]);
    await host.dispose();
  });
});

describe('An outcome that is not acknowledged', () => {
  it('is reported by the next agent of the host, until it is acknowledged', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'evenfall-agent-'));
    const first = await startHost({ dataDir });
    const id = first.run(await first.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return "kept"\n' }));
    await first.ended(id);
    await first.until(() => statSync(join(dataDir, 'outcomes.spool'), { throwIfNoEntry: false })?.size, 'it is on disk');
    await first.dispose();
    const second = await startHost({ dataDir });
    const { result, started } = await second.ended(id);
    assert.equal(result.toString(), '"kept"');
    assert.ok(started?.startTime && started.instanceId !== '', 'with the start, whose own report may have been lost');
    second.send({ acks: [{ eventId: id, attempt: 1 }] });
    await second.until(() => statSync(join(dataDir, 'outcomes.spool')).size === 0, 'it is gone from the disk');
    await second.dispose();
    const third = await startHost({ dataDir });
    await third.ended(third.run(await third.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return 1\n' })));
    assert.ok(!third.reports.some(({ eventId }) => eventId === id));
    await third.dispose();
    await rm(dataDir, { recursive: true });
  });
});
