import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { patient } from '@evenfall/testkit';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { durationOfMs } from '@evenfall/time';
import { errorOf, type Host, startHost } from './testing/host.ts';

const example = (path: string): string => readFileSync(new URL(`../../../examples/functions/${path}`, import.meta.url), 'utf8');
const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };

describe('An attempt', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  for (const [fn, files] of [
    [PYTHON, { 'index.py': example('echo-python/index.py') }],
    [NODE, { 'index.js': example('echo/index.js') }],
  ] as const) {
    it(`echoes in ${fn.runtime}, cold and then warm on the same instance`, async () => {
      const instance = await host.start(fn, files);
      const first = host.run(instance, { name: 'ä', n: 1 });
      const ended = await host.ended(first);
      assert.equal(ended.outcome, Outcome.RETURNED);
      assert.equal(ended.statusCode, 200);
      assert.deepEqual(JSON.parse(ended.result.toString()), { name: 'ä', n: 1 });
      assert.ok(ended.memoryBytes > 1_000_000n);
      const second = host.run(instance, [1, 2]);
      assert.equal((await host.ended(second)).result.toString().replaceAll(' ', ''), '[1,2]');
      const started = host.reports.flatMap(({ report }) =>
        report?.$case === 'started' && report.value.instanceId === instance ? [report.value] : [],
      );
      assert.deepEqual(
        started.map((each) => each.coldStart),
        [true, false],
      );
      assert.ok((started[0]?.coldStartDetail?.initRuntimeMs ?? 0) > 1);
    });
  }

  it('on an instance that was started ahead is no cold start, and the log of the first shows the parts of the start', async () => {
    const instance = await host.start(PYTHON, { 'index.py': 'print("loaded")\ndef handler(event, context): return 1' }, true);
    await host.until(
      () => host.changes.some(({ instanceId, change }) => instanceId === instance && change?.$case === 'ready'),
      'it is ready',
    );
    const first = await host.ended(host.run(instance, {}, { synchronous: true }));
    const second = await host.ended(host.run(instance, {}, { synchronous: true }));
    assert.match(
      first.logTail,
      /^START .*\nProvisioned Report RequestId: \S+ Coldstart: \d+ms \(.*\) Memory: 128MB MemUsage: .*\nloaded\n/,
    );
    assert.doesNotMatch(second.logTail, /Coldstart/);
    const started = host.reports.flatMap(({ report }) =>
      report?.$case === 'started' && report.value.instanceId === instance ? [report.value] : [],
    );
    assert.deepEqual(
      started.map(({ coldStart, coldStartDetail }) => [coldStart, coldStartDetail !== undefined]),
      [
        [false, true],
        [false, false],
      ],
    );
  });

  it('that throws ends 430 with the error of SCF, and its instance goes', async () => {
    const instance = await host.start(PYTHON, { 'index.py': example('throws/index.py') });
    const id = host.run(instance);
    const ended = await host.ended(id);
    assert.equal(ended.outcome, Outcome.THREW);
    assert.equal(ended.statusCode, 430);
    const error = errorOf(ended);
    assert.deepEqual(
      { ...error, stackTrace: '' },
      { errorCode: -1, errorMessage: 'user code exception caught', requestId: id, stackTrace: '', statusCode: 430 },
    );
    assert.match(error.stackTrace ?? '', /^Traceback[^]*index\.py", line 2, in handler[^]*Exception: err msg$/);
    assert.doesNotMatch(error.stackTrace ?? '', /bootstrap/);
    await host.gone(instance);
  });

  it('that throws for a synchronous caller leaves its instance and answers its log', async () => {
    const instance = await host.start(NODE, {
      'index.mjs': 'export const handler = async () => { console.log("hello"); throw new Error("no"); };',
    });
    const id = host.run(instance, {}, { synchronous: true });
    const ended = await host.ended(id);
    assert.equal(ended.statusCode, 430);
    assert.match(ended.logTail, /^START RequestId: [^]*Init Report[^]*\nhello\n[^]*ERROR[^]*END RequestId:[^]*Report RequestId:/);
    // What is stored is the complete log: there is no event to render the platform's lines from.
    await host.line(id, /^Report RequestId:/);
    const stored = host.lines.filter((each) => each.eventId === id);
    assert.deepEqual(
      stored.map((each) => each.sequence),
      stored.map((_, i) => i + 1),
    );
    assert.equal(`${stored.map((each) => each.line?.text).join('\n')}\n`, ended.logTail);
    assert.equal((await host.ended(host.run(instance))).statusCode, 430);
  });

  it('that writes nothing for a synchronous caller stores nothing', async () => {
    const instance = await host.start(NODE, { 'index.js': 'exports.handler = async () => 1;' });
    const id = host.run(instance, {}, { synchronous: true });
    assert.match((await host.ended(id)).logTail, /^START RequestId: [^]*\nResponse RequestId:\S+ RetMsg:1\nEND/);
    // Lines are shipped in order: once a later one is there, none of the call can come any more.
    const writes = await host.start(NODE, { 'index.js': 'exports.handler = () => console.log("x");' });
    await host.line(host.run(writes), 'x');
    assert.ok(!host.lines.some((each) => each.eventId === id));
  });

  it('whose process exits ends 439 with its code', async () => {
    const ended = await host.ended(
      host.run(await host.start(PYTHON, { 'index.py': example('crashes/index.py') }), { how: 'exit', code: 3 }),
    );
    assert.equal(ended.outcome, Outcome.EXITED);
    assert.deepEqual([ended.statusCode, ended.exitCode], [439, 3]);
    assert.equal(errorOf(ended).errorMessage, 'User process exit when running');
  });

  it('that calls sys.exit leaves too', async () => {
    const ended = await host.ended(host.run(await host.start(PYTHON, { 'index.py': 'import sys\ndef handler(e, c):\n    sys.exit(4)\n' })));
    assert.deepEqual([ended.outcome, ended.exitCode], [Outcome.EXITED, 4]);
  });

  it('that segfaults ends 439 with the signal', async () => {
    const id = host.run(await host.start(PYTHON, { 'index.py': example('crashes/index.py') }), { how: 'segfault' });
    const ended = await host.ended(id);
    assert.deepEqual([ended.outcome, ended.statusCode, ended.signal], [Outcome.DIED_OF, 439, 'SIGSEGV']);
    await host.line(id, 'about to crash');
  });

  it('that takes too long ends 433 and not before', async () => {
    const instance = await host.start({ ...PYTHON, timeout: durationOfMs(300) }, { 'index.py': example('sleeps/index.py') });
    const ended = await host.ended(host.run(instance, { seconds: 60 }));
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.TIMED_OUT, 433]);
    assert.ok(ended.durationMs >= 300 && ended.durationMs < patient(600), `${ended.durationMs} ms`);
    assert.equal(errorOf(ended).errorMessage, 'Invoking task timed out after 0.3 seconds');
  });

  it('that uses up its memory ends 434', async () => {
    const code = 'import time\ndef handler(e, c):\n    x = bytearray(300 * 1024 * 1024)\n    time.sleep(30)\n';
    const ended = await host.ended(host.run(await host.start(PYTHON, { 'index.py': code })));
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.OUT_OF_MEMORY, 434]);
  });

  it('answers by callback, or by nothing at all', async () => {
    const files = {
      'index.js':
        'exports.handler = (event, context, callback) => { if (event.call) setTimeout(() => callback(null, context.function_name), 5); };',
    };
    const instance = await host.start(NODE, files);
    assert.equal((await host.ended(host.run(instance, { call: true }))).result.toString(), '"f"');
    assert.equal((await host.ended(host.run(instance, { call: false }))).result.toString(), 'null');
    assert.equal((await host.ended(host.run(instance, { call: true }))).result.toString(), '"f"');
  });

  it('that fails out of its handler’s sight is 430, and a synchronous caller’s instance goes on', async () => {
    const code =
      'const late = await Promise.resolve("late"); export const handler = (event, context, callback) => { setTimeout(() => { if (event.fail) throw new Error(late); callback(null, 1); }, 5); };';
    const instance = await host.start(NODE, { 'index.mjs': code });
    const failed = await host.ended(host.run(instance, { fail: true }, { synchronous: true }));
    assert.deepEqual([failed.outcome, failed.statusCode], [Outcome.THREW, 430]);
    assert.match(errorOf(failed).stackTrace ?? '', /Error: late/);
    assert.equal((await host.ended(host.run(instance, {}, { synchronous: true }))).result.toString(), '1');
    assert.equal((await host.ended(host.run(instance, { fail: true }))).statusCode, 430);
    await host.gone(instance);
  });

  it('that returns what is no JSON throws', async () => {
    const python = await host.ended(host.run(await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return object()\n' })));
    assert.deepEqual([python.outcome, python.statusCode], [Outcome.THREW, 430]);
    const node = await host.ended(host.run(await host.start(NODE, { 'index.js': 'exports.handler = () => 1n;' })));
    assert.deepEqual([node.outcome, node.statusCode], [Outcome.THREW, 430]);
  });

  it('that returns too much ends 407', async () => {
    const ended = await host.ended(host.run(await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return "x" * (7 << 20)\n' })));
    assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.THREW, 407]);
  });

  it('keeps 256 KiB of a large result', async () => {
    const instance = await host.start(PYTHON, { 'index.py': 'def handler(e, c):\n    return "x" * 300000\n' });
    const ended = await host.ended(host.run(instance));
    assert.deepEqual([ended.result.length, ended.resultTruncated], [262_144, true]);
    const whole = await host.ended(host.run(instance, {}, { synchronous: true }));
    assert.deepEqual([whole.result.length, whole.resultTruncated], [300_002, false]);
  });

  it('has every line it wrote before its end is reported, in order', async () => {
    const instance = await host.start(NODE, {
      'index.js':
        'console.log("loaded"); exports.handler = async () => { for (let i = 0; i < 200; i++) console.log(`${i} ${"x".repeat(500)}`); process.stdout.write("open"); return 1; };',
    });
    for (let round = 0; round < 20; round++) {
      const id = host.run(instance);
      await host.ended(id);
      const texts = host.lines.filter((each) => each.eventId === id).map((each) => each.line?.text.split(' ')[0]);
      const expected = [...(round === 0 ? ['loaded'] : []), ...Array.from({ length: 200 }, (_, i) => String(i)), 'open'];
      assert.deepEqual(texts, expected);
    }
  });

  it('that floods is cut with one line about it, and ends', async () => {
    const instance = await host.start(PYTHON, {
      'index.py': 'def handler(e, c):\n    for i in range(e["n"]):\n        print("y" * 100)\n    return "done"\n',
    });
    const id = host.run(instance, { n: 50_000 });
    assert.equal((await host.ended(id)).statusCode, 200);
    const lines = host.lines.filter((each) => each.eventId === id);
    assert.equal(lines.length, 10_001);
    assert.match(lines.at(-1)?.line?.text ?? '', /^\[PLATFORM\] Log cut/);
    const next = host.run(instance, { n: 1 });
    await host.ended(next);
    assert.equal(host.lines.filter((each) => each.eventId === next).length, 1);
  });

  it('assigned twice runs once', async () => {
    const instance = await host.start(PYTHON, { 'index.py': 'n = 0\ndef handler(e, c):\n    global n\n    n += 1\n    return n\n' });
    const id = host.run(instance);
    await host.ended(id);
    host.run(instance, {}, { eventId: id });
    assert.equal((await host.ended(id, 2)).result.toString(), '1');
    host.send({ acks: [{ eventId: id, attempt: 1 }] });
    host.run(instance, {}, { eventId: id, runningOnAgentId: host.agentId });
    const lost = await host.ended(id, 3);
    assert.deepEqual([lost.outcome, lost.statusCode], [Outcome.LOST, 500]);
    assert.equal((await host.ended(host.run(instance))).result.toString(), '2');
  });

  it('outlives a broken stream, and what was not acknowledged is reported again', async () => {
    const instance = await host.start(PYTHON, { 'index.py': example('sleeps/index.py') });
    const done = host.run(instance, { seconds: 0 }, { grant: Buffer.from('of the first') });
    await host.ended(done);
    const running = host.run(instance, { seconds: 0.5 }, { grant: Buffer.from('of the second') });
    await host.line(running, 'sleeping');
    const before = host.hellos.length;
    host.breakStream();
    const hello = await host.until(() => host.hellos[before]?.hello, 'a new hello');
    assert.deepEqual(
      hello.held.slice(-2),
      [
        { eventId: done, attempt: 1, partition: 0, grant: Buffer.from('of the first') },
        { eventId: running, attempt: 1, partition: 0, grant: Buffer.from('of the second') },
      ],
      'what runs, and what has an outcome',
    );
    assert.equal(hello.sessionId, host.hellos[0]?.hello?.sessionId);
    assert.ok(hello.instances.some((each) => each.instanceId === instance));
    await host.ended(done, 2);
    assert.equal((await host.ended(running)).statusCode, 200);
  });
});
