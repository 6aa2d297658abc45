// What functions do that were written for other platforms, and what their libraries do to them.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { durationOfMs } from '@evenfall/time';
import { errorOf, type Host, startHost } from './testing/host.ts';

const PYTHON = { runtime: 'python3', handler: 'index.handler' };
const NODE = { runtime: 'nodejs', handler: 'index.handler' };
const isRoot = process.getuid?.() === 0;

describe('Functions of other platforms', () => {
  let host: Host;
  before(async () => {
    host = await startHost();
  });
  after(() => host.dispose());

  const run = async (fn: Parameters<Host['start']>[0], files: Readonly<Record<string, string>>, payload: unknown = {}) => {
    const instance = await host.start(fn, files);
    const id = host.run(instance, payload);
    const ended = await host.ended(id);
    const lines = () => host.lines.filter(({ eventId }) => eventId === id).map(({ line }) => line?.text ?? '');
    return { instance, id, ended, lines, code: ended.statusCode, result: ended.result.toString() };
  };

  describe('in Node', () => {
    for (const [name, code, result] of [
      [
        'context.succeed, with two parameters',
        '(event, context) => void setTimeout(() => context.succeed({ ok: true }), 20)',
        '{"ok":true}',
      ],
      ['the callback, of a wrapper without any', '(...all) => void setTimeout(() => all[2](null, { ok: 1 }), 20)', '{"ok":1}'],
      ['context.done, with one', '(event) => undefined', 'null'],
      ['nothing, while a timer runs', '() => void setTimeout(() => undefined, 20)', 'null'],
      ['a value at once', '() => 7', '7'],
      ['a promise of nothing, beside a timer', 'async () => void setTimeout(() => undefined, 100)', 'null'],
      [
        'the callback before the promise',
        '(event, context, callback) => { callback(null, "first"); return Promise.resolve("second"); }',
        '"first"',
      ],
    ] as const)
      it(`answer by ${name}`, async () => {
        const { code: status, result: got } = await run(NODE, { 'index.js': `exports.handler = ${code};` });
        assert.deepEqual([status, got], [200, result]);
      });

    for (const [kind, code, patterns] of [
      [
        'a cause',
        'throw new Error("outer", { cause: new Error("connect ECONNREFUSED 10.0.0.7:5432") })',
        [/outer/, /\[cause\].*ECONNREFUSED 10/s],
      ],
      ['a failed fetch', 'await fetch("http://127.0.0.1:1/")', [/fetch failed/, /\[cause\]/]],
      ['several', 'await Promise.any([Promise.reject(new Error("replica a is down"))])', [/AggregateError/, /replica a is down/]],
      ['properties', 'throw Object.assign(new Error("denied"), { code: "EACCES" })', [/denied/, /code: 'EACCES'/]],
      ['another realm', 'require("node:vm").runInNewContext(\'throw new TypeError("elsewhere")\')', [/TypeError: elsewhere/]],
      ['no stack', 'throw Object.assign(new Error("bare"), { stack: undefined })', [/bare/]],
      ['a getter that throws', 'throw Object.defineProperty(new Error("x"), "stack", { get() { throw 1; } })', [/./]],
      ['a proxy', 'throw new Proxy(new Error("p"), { get() { throw new Error("trap"); } })', [/./]],
      ['a symbol', 'throw Symbol("s")', [/Symbol\(s\)/]],
      ['ten megabytes', 'throw new Error("x".repeat(10_000_000))', [/\[cut from \d+ characters\]/]],
    ] as const)
      it(`fail with the complete error: ${kind}`, async () => {
        const { ended } = await run(NODE, { 'index.js': `exports.handler = async () => { ${code}; };` });
        assert.equal(ended.statusCode, 430);
        const { stackTrace = '' } = errorOf(ended);
        for (const pattern of patterns) assert.match(stackTrace, pattern);
        assert.ok(ended.error.length < 70_000);
      });

    it('report why they cannot be loaded though their load never ends', async () => {
      const files = { 'index.mjs': 'setTimeout(() => { throw new Error("no database"); }, 20); await new Promise(() => undefined);' };
      const { eventId } = await host.startWith({ ...NODE, initTimeout: durationOfMs(10_000) }, files);
      const ended = await host.ended(eventId);
      assert.equal(ended.statusCode, 443);
      assert.match(errorOf(ended).errorMessage, /no database/);
    });

    it('make garbage without end, and are not out of memory for it; what they keep is', async () => {
      const garbage = `exports.handler = async () => {
        for (let n = 0; n < 400; n++) { Array.from({ length: 60_000 }, (_, i) => ({ i })); if (n % 20 === 0) await new Promise((r) => setTimeout(r, 1)); }
        return 'done';
      };`;
      const { code, result } = await run({ ...NODE, memoryMb: 128 }, { 'index.js': garbage });
      assert.deepEqual([code, result], [200, '"done"']);
      const leak = `const kept = []; exports.handler = () => { for (;;) kept.push(Array.from({ length: 1000 }, (_, i) => ({ i }))); };`;
      const leaked = await run({ ...NODE, memoryMb: 128 }, { 'index.js': leak });
      assert.equal(leaked.code, 434);
    });

    it('have what they do after the answer, and what it comes to, in the log of their instance', async () => {
      const code = `exports.handler = async () => {
        setTimeout(() => { console.log('background work is done'); Promise.reject(new Error('the background save failed')); }, 50);
        return 'accepted';
      };`;
      const { instance } = await run(NODE, { 'index.js': code });
      await host.gone(instance);
      await host.line(instance, 'background work is done');
      await host.line(instance, /the background save failed/);
      await host.line(instance, '[PLATFORM] The instance exited with code 1 while no event ran on it');
    });
  });

  describe('in Python', () => {
    it('start processes by spawn and by fork, in pools', async () => {
      const code = `
import multiprocessing, concurrent.futures
def square(n):
    return n * n
def handler(event, context):
    context = multiprocessing.get_context(event["method"])
    with concurrent.futures.ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return list(pool.map(square, [1, 2, 3]))
`;
      for (const method of ['fork', 'spawn', 'forkserver']) {
        const { code: status, result, lines } = await run({ ...PYTHON, memoryMb: 512 }, { 'index.py': code }, { method });
        assert.deepEqual([status, result], [200, '[1,4,9]'], `${method}: ${lines().join('\n')}`);
      }
    });

    const FORKS = `
import os, signal, sys, time
def handler(event, context):
    if event["do"] == "pid":
        return os.getpid()
    if event["do"] == "term":
        got = []
        signal.signal(signal.SIGTERM, lambda *_: got.append(1))
        print("waiting", flush=True)
        while not got: time.sleep(0.02)
        return "END"
    child = os.fork()
    if child == 0:
        if event["do"] == "raises": raise Exception("of the child")
        if event["do"] == "exits": sys.exit(0)
        return "child"
    status = os.waitpid(child, 0)[1]
    return ["parent", os.waitstatus_to_exitcode(status)]
`;
    it('fork a child that comes back from the handler: it answers for no event, and receives none', async () => {
      const instance = await host.start(PYTHON, { 'index.py': FORKS });
      for (const [how, exitCode] of [
        ['returns', 0],
        ['raises', 1],
        ['exits', 0],
      ] as const) {
        const ended = await host.ended(host.run(instance, { do: how }));
        assert.deepEqual([ended.statusCode, ended.result.toString()], [200, `["parent",${exitCode}]`]);
      }
      const pids = new Set<string>();
      for (let n = 0; n < 10; n++) pids.add((await host.ended(host.run(instance, { do: 'pid' }))).result.toString());
      assert.equal(pids.size, 1);
      const id = host.run(instance, { do: 'term' });
      await host.line(id, 'waiting');
      host.stop(id, 'GRACEFUL', { gracePeriod: durationOfMs(5_000) });
      assert.equal((await host.ended(id)).result.toString(), '"END"');
    });

    it('set the level of their log at load', async () => {
      const quiet = `
import logging
logger = logging.getLogger()
logger.setLevel(logging.INFO)
def handler(event, context):
    logging.getLogger("some.library").debug("library noise")
    logger.info("what is wanted")
    return logging.getLevelName(logger.level)
`;
      const { result, lines } = await run(PYTHON, { 'index.py': quiet });
      assert.equal(result, '"INFO"');
      assert.deepEqual(
        lines().map((line) => line.replace(/^.*\[/, '[')),
        ['[INFO] what is wanted'],
      );
    });

    it('log at load, and go on logging', async () => {
      const early = `
import logging
logging.info("cold start")
def handler(event, context):
    logging.getLogger("my.app").info("working")
    return [logging.getLevelName(logging.getLogger().level), len(logging.getLogger().handlers)]
`;
      const { result, lines } = await run(PYTHON, { 'index.py': early });
      assert.equal(result, '["DEBUG",1]');
      assert.deepEqual(
        lines().map((line) => line.replace(/^.*\[/, '[')),
        ['[INFO] cold start', '[INFO] working'],
      );
    });

    for (const [handler, files] of [
      ['email/index.handler', { 'email/index.py': 'def handler(e, c): return "mine"' }],
      ['json.handler', { 'json.py': 'def handler(e, c): return "mine"' }],
      ['pkg.handler', { 'pkg/__init__.py': 'def handler(e, c): return "mine"' }],
      ['src.app.main.handler', { 'src/app/main.py': 'def handler(e, c): return "mine"' }],
      [
        'src/app/main.handler',
        { 'src/app/main.py': 'from . import words\ndef handler(e, c): return words.MINE', 'src/app/words.py': 'MINE = "mine"' },
      ],
    ] as const)
      it(`name their handler ${handler}`, async () => {
        const { code, result } = await run({ ...PYTHON, handler }, files);
        assert.deepEqual([code, result], [200, '"mine"']);
      });

    it('leave while they are loaded: that is 443, with the reason', async () => {
      const { eventId } = await host.startWith(PYTHON, { 'index.py': 'import sys\nsys.exit("no configuration")' });
      const ended = await host.ended(eventId);
      assert.equal(ended.statusCode, 443);
      assert.match(errorOf(ended).errorMessage, /no configuration/);
    });

    it('return and print half of a pair', async () => {
      const code = 'def handler(e, c):\n    print("half \\ud83d pair")\n    return "\\ud83d half"';
      const { result, lines } = await run(PYTHON, { 'index.py': code });
      assert.deepEqual([result, lines()], ['"\\ud83d half"', ['half \\ud83d pair']]);
    });

    it('fail with a text of many megabytes', async () => {
      const { ended } = await run(PYTHON, { 'index.py': 'def handler(e, c):\n    raise Exception("x" * 9_000_000)' });
      assert.match(errorOf(ended).stackTrace ?? '', /^Traceback.*\[cut from \d+ characters\]/s);
      assert.ok(ended.error.length < 70_000);
    });
  });

  it('open their outputs by name', async () => {
    const shell = `#!/bin/sh
API="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while true; do
  ID=$(curl -sD - -o /dev/null "$API/next" | tr -d '\\r' | sed -n 's/^Lambda-Runtime-Aws-Request-Id: //Ip')
  echo "to dev stdout" > /dev/stdout; echo "to dev stderr" > /dev/stderr; echo teed | tee /dev/stderr >/dev/null; echo fd1 > /proc/self/fd/1
  curl -s -X POST "$API/$ID/response" -d '"done"' >/dev/null
done
`;
    const { result, lines } = await run({ runtime: 'custom', handler: 'x' }, { bootstrap: shell });
    assert.equal(result, '"done"');
    assert.deepEqual(lines().toSorted(), ['fd1', 'teed', 'to dev stderr', 'to dev stdout']);
    const python =
      'import logging, logging.handlers\ndef handler(e, c):\n    h = logging.FileHandler("/dev/stdout"); h.emit(logging.makeLogRecord({"msg": "by name"})); h.close()';
    assert.deepEqual((await run(PYTHON, { 'index.py': python })).lines(), ['by name']);
  });

  it('show progress without line ends while they run', async () => {
    const code = `
import sys, time
def handler(event, context):
    for i in range(0, 101, 25):
        sys.stderr.write("\\r%3d %%" % i); sys.stderr.flush()
    sys.stdout.write("question? "); sys.stdout.flush()
    time.sleep(60)
`;
    const instance = await host.start({ ...PYTHON, timeout: durationOfMs(60_000) }, { 'index.py': code });
    const id = host.run(instance);
    for (const text of ['  0 %', ' 75 %', '100 %', 'question? ']) await host.line(id, text);
    host.stop(id, 'FORCE');
    await host.ended(id);
  });

  it('have a user with a name', { skip: !isRoot && 'only root can give away users' }, async () => {
    const node = `const os = require('os'); const { execSync } = require('child_process');
exports.handler = async () => [os.userInfo().username, execSync('whoami').toString().trim(), execSync('id -gn').toString().trim()];`;
    assert.equal((await run(NODE, { 'index.js': node })).result, '["evenfall","evenfall","evenfall"]');
    const python =
      'import grp, os, pwd\ndef handler(e, c): return [pwd.getpwuid(os.getuid()).pw_name, pwd.getpwnam("root").pw_uid, grp.getgrgid(os.getgid()).gr_name]';
    assert.equal((await run(PYTHON, { 'index.py': python })).result, '["evenfall",0,"evenfall"]');
  });

  it('have one room for temporary files in three places', { skip: !isRoot && 'only root can mount' }, async () => {
    const code = `
import os
def handler(event, context):
    room = os.statvfs("/tmp").f_blocks * os.statvfs("/tmp").f_frsize
    for folder in "/tmp", "/var/tmp", "/dev/shm":
        with open(folder + "/here", "w") as file: file.write("x")
    return [len({os.stat(each).st_dev for each in ("/tmp", "/var/tmp", "/dev/shm")}), room == 512 * 1024 * 1024, oct(os.stat("/tmp").st_mode & 0o7777)]
`;
    assert.equal((await run(PYTHON, { 'index.py': code })).result, '[1,true,"0o1777"]');
  });
});
