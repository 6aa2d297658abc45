// The channel between the agent and its own bootstraps: what was handed to it arrives, and what is none of theirs ends the attempt as such.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { createLog } from '@evenfall/telemetry';
import { durationOfMs } from '@evenfall/time';
import { errorOf, type Host, startHost } from './testing/host.ts';

const NODE = { runtime: 'nodejs', handler: 'index.handler', timeout: durationOfMs(20_000), memoryMb: 512 };
const PYTHON = { runtime: 'python3', handler: 'index.handler', timeout: durationOfMs(20_000) };

describe('The channel of a runtime', () => {
  let host: Host;
  const warnings: string[] = [];
  before(async () => {
    host = await startHost({ log: createLog('agent', { level: 'warn', format: 'text', write: (line) => void warnings.push(line) }) });
  });
  after(() => host.dispose());

  /** Bytes that are no frames, as a hexadecimal text: words, a length of nothing, a length beyond all, and frames before them. */
  const JUNK = [
    ['a line', Buffer.from('hello, is anybody there?\n').toString('hex')],
    ['a frame without a kind', '0000000000'],
    ['a frame of 4 GiB', 'ffffffff14'],
    ['more than a frame may have', '0100800014'],
    ['a frame, and words', `0100000063${Buffer.from('and then this').toString('hex')}`],
  ] as const;
  for (const [what, hex] of JUNK)
    for (const [fn, file, code] of [
      [PYTHON, 'index.py', `import os, time\ndef handler(e, c):\n    os.write(3, bytes.fromhex("${hex}"))\n    time.sleep(15)\n`],
      [
        NODE,
        'index.js',
        `exports.handler = async () => { require('fs').writeSync(3, Buffer.from('${hex}', 'hex')); await new Promise((r) => setTimeout(r, 15000)); };`,
      ],
    ] as const)
      it(`ends what runs in ${fn.runtime} with its own reason when a function writes ${what} to it`, async () => {
        const instance = await host.start(fn, { [file]: code });
        const ended = await host.ended(host.run(instance));
        assert.deepEqual([ended.outcome, ended.statusCode, ended.exitCode], [Outcome.THREW, 430, 0]);
        assert.equal(
          errorOf(ended).errorMessage,
          'The runtime of the function cannot be talked to: it wrote to the channel of its runtime',
        );
        await host.gone(instance);
      });

  it('is logged once for a function, whatever many of its instances write', async () => {
    const code = 'import os\ndef handler(e, c):\n    os.write(3, b"junk that is no frame")\n    return 1\n';
    for (let i = 0; i < 3; i++) {
      const instance = await host.start({ ...PYTHON, name: 'noisy' }, { 'index.py': code });
      assert.equal((await host.ended(host.run(instance))).statusCode, 430);
    }
    const said = warnings.filter((line) => line.includes('cannot be talked to') && /function=\S*\/noisy /.test(line));
    assert.equal(said.length, 1, said.join(''));
    assert.match(said[0] ?? '', /reason="it wrote to the channel of its runtime" count=1\n$/);
  });

  it('gives the event behind it to another instance', async () => {
    const code = 'import os\ndef handler(e, c):\n    os.write(3, b"junk that is no frame")\n    return 1\n';
    const instance = await host.start(PYTHON, { 'index.py': code });
    const [first, second] = [host.run(instance), host.run(instance)];
    assert.equal((await host.ended(first)).statusCode, 430);
    const kinds = () => host.reports.filter(({ eventId }) => eventId === second).map(({ report }) => report?.$case);
    await host.until(() => kinds().length > 0, 'the second is reported');
    assert.deepEqual(kinds(), ['throttled']);
  });

  const TEXT = `const text = Array.from({ length: 3 * 1024 * 1024 }, (_, i) => String.fromCharCode(97 + (i * 7 + (i >> 10)) % 26)).join('');`;
  for (const [how, code] of [
    ['its callback', 'exports.handler = (event, context, callback) => { callback(null, text); process.exit(0); };'],
    ['a promise', 'exports.handler = async () => { setImmediate(() => process.exit(0)); return text; };'],
    ['a promise, and dies of an error', 'exports.handler = async () => { setTimeout(() => { throw new Error("later"); }); return text; };'],
    [
      'its callback, with more frames behind',
      'exports.handler = (event, context, callback) => { callback(null, text); process.nextTick(() => { for (let i = 0; i < 50; i++) evenfall.extend(i); process.exit(0); }); };',
    ],
    [
      'its callback, with frames before',
      'exports.handler = (event, context, callback) => { for (let i = 0; i < 50; i++) process.on("SIGUSR2", () => i).off("SIGUSR2", () => i), evenfall.extend(i); callback(null, text); process.exit(0); };',
    ],
  ] as const)
    it(`has all of a large result that Node's handler gives by ${how}, and exits at once`, async () => {
      const instance = await host.start(NODE, { 'index.js': `${TEXT}\n${code}` });
      const ended = await host.ended(host.run(instance, {}, { synchronous: true }));
      assert.deepEqual([ended.outcome, ended.statusCode], [Outcome.RETURNED, 200], ended.error.toString());
      const text = JSON.parse(ended.result.toString()) as string;
      assert.equal(text.length, 3 * 1024 * 1024);
      for (let i = 0; i < text.length; i += 997) assert.equal(text.charCodeAt(i), 97 + ((i * 7 + (i >> 10)) % 26));
    });

  it('has all of a small one, and of a large error', async () => {
    const small = await host.start(NODE, { 'index.js': 'exports.handler = (e, c, done) => { done(null, "small"); process.exit(0); };' });
    assert.equal((await host.ended(host.run(small))).result.toString(), '"small"');
    const large = 'exports.handler = (e, c, done) => { done(new Error("x".repeat(1e6))); process.exit(0); };';
    const failed = await host.ended(host.run(await host.start(NODE, { 'index.js': large })));
    assert.deepEqual([failed.outcome, failed.statusCode], [Outcome.THREW, 430]);
    assert.match(errorOf(failed).errorMessage, /x{1000}|user code exception/);
  });
});
