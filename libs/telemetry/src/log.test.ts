import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from './log.ts';
import { createRepeats } from './repeats.ts';

describe('A line of the log', () => {
  const lines: string[] = [];
  const log = createLog('queue', 'info', (line) => void lines.push(line.slice(line.indexOf(' ') + 1)));

  it('says of an error what it is, with its cause, and nothing where there is none', () => {
    log.error('it failed', new Error('why', { cause: 'that' }), { partition: 1 });
    log.error('it failed', null, { offset: 2 });
    log.error('it failed', undefined, { offset: 3, event_id: undefined });
    assert.match(lines[0] ?? '', /^error queue it failed partition=1 error="Error: why.* caused by that"\n$/);
    log.warn('said\n2026 error queue forged', { text: '\x1b[2J\n\x9b\u202e' });
    assert.equal(lines.pop(), 'warn queue said\\n2026 error queue forged text="\\u001b[2J\\n\\u009b\\u202e"\n');
    assert.deepEqual(lines.slice(1), ['error queue it failed offset=2 error=null\n', 'error queue it failed offset=3\n']);
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
