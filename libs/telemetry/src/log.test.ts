import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLog } from './log.ts';
import { createRepeats } from './repeats.ts';

describe('A line of the log', () => {
  const lines: string[] = [];
  const log = createLog('queue', { format: 'text', write: (line) => void lines.push(line.slice(line.indexOf(' ') + 1)) });

  it('says of an error what it is, with its cause, and nothing where there is none', () => {
    log.error('it failed', new Error('why', { cause: 'that' }), { partition: 1 });
    log.error('it failed', null, { offset: 2 });
    log.error('it failed', undefined, { offset: 3, event_id: undefined });
    assert.match(lines[0] ?? '', /^error queue it failed partition=1 error="Error: why.* caused by that"\n$/);
    log.warn('said\n2026 error queue forged', { text: '\x1b[2J\n\x9b\u202e' });
    assert.equal(lines.pop(), 'warn queue said\\n2026 error queue forged text="\\u001b[2J\\n\\u009b\\u202e"\n');
    log.error('it failed', undefined, { offset: 2n ** 63n - 1n });
    assert.equal(lines.pop(), 'error queue it failed offset=9223372036854775807\n');
    assert.deepEqual(lines.slice(1), ['error queue it failed offset=2 error=null\n', 'error queue it failed offset=3\n']);
  });
});

describe('A line of the log as JSON', () => {
  const written: string[] = [];
  const log = createLog('queue', { level: 'debug', format: 'json', write: (line) => void written.push(line) });
  const last = (): Record<string, unknown> => {
    const { time, ...rest } = JSON.parse(written.at(-1) ?? '') as Record<string, unknown>; // an object, as the test asserts
    assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
    return rest;
  };

  it('has level, service, message and the fields', () => {
    log.warn('it is late', { partition: 1, offset: 2n ** 60n, is_late: true, event_id: undefined });
    assert.ok(written.at(-1)?.includes('"offset":1152921504606846976'));
    assert.deepEqual(last(), { level: 'warn', service: 'queue', message: 'it is late', partition: 1, offset: 2 ** 60, is_late: true });
    log.error('it failed', new Error('why'));
    assert.match(String(last()['error']), /^Error: why\n/);
  });

  it('is one line of printable characters whatever a function or caller put into it, and says the same', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (message, text) => {
        log.debug(message, { text });
        assert.match(written.at(-1) ?? '', /^[^\p{Cc}\p{Zl}\p{Zp}]*\n$/u);
        assert.deepEqual([last()['message'], last()['text']], [message, text]);
      }),
    );
    log.debug('100 %s %d %%', { text: '%s' });
    assert.equal(last()['message'], '100 %s %d %%');
  });
});

describe('What happens again and again', () => {
  it('is said at once at every place, and then once in a while with how often it was', () => {
    let nowMs = 5;
    const repeats = createRepeats(1_000, () => nowMs);
    assert.equal(repeats.note('a'), 1);
    assert.equal(repeats.note('b'), 1);
    for (let i = 0; i < 6; i++) assert.equal(repeats.note('a'), undefined);
    nowMs += 999;
    assert.equal(repeats.note('a'), undefined);
    nowMs += 1;
    assert.deepEqual([repeats.note('a'), repeats.note('a'), repeats.note('b')], [8, undefined, 1]);
  });

  it('is remembered of a thousand places, those that were said last', () => {
    const repeats = createRepeats(1_000, () => 0);
    for (let i = 0; i < 1_001; i++) assert.equal(repeats.note(`${i}`), 1);
    assert.equal(repeats.note('1000'), undefined);
    assert.equal(repeats.note('1'), undefined);
    assert.equal(repeats.note('0'), 1);
  });
});
