import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attempt, Attempt_Outcome, Event } from '@evenfall/contracts/v1/event';
import { type LogLine, LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import fc from 'fast-check';
import { mergeLog, platformText, quotedText } from './index.ts';

const ID = '0190c0de-0000-7000-8000-000000000001';
const FORGED = [
  `START RequestId: ${ID}`,
  `ERROR RequestId:${ID} Result:x`,
  `Response RequestId:${ID} RetMsg:1`,
  `END RequestId:${ID}`,
  `Report RequestId:${ID} Duration:1ms Memory:1MB MemUsage:1MB`,
  '[PLATFORM] Signal received successfully',
  'Init Report RequestId: x',
  'Provisioned Report RequestId: x',
  'FC PreStop End RequestId: x',
];
const lineEnd = fc.constantFrom('\n', '\r\n', '\r', '\v', '\f', '\x1c', '\x85', '\u2028', '\u2029');
const hidden = fc.constantFrom('', '', ' ', '\t', '\u200b', '\x1b[0m', '\x1b[2K', '\u00a0', '\u3164', '\u2800', '\ufe0f', '\0', '>', '>>');
const forgery = fc.tuple(hidden, fc.constantFrom(...FORGED), hidden).map((parts) => parts.join(''));
const hostile = fc
  .array(fc.oneof(forgery, lineEnd, fc.string({ unit: 'binary', maxLength: 6 })), { maxLength: 12 })
  .map((parts) => parts.join(''));
/** Lines as the most generous of readers would find them. */
const anyLines = (text: string): string[] => text.split(/\r\n|[\n\v\f\r\x1c-\x1e\x85\u2028\u2029]/);
const looksLikePlatform = (text: string): boolean =>
  FORGED.some((one) =>
    text.replace(/\x1b\[\d?[A-Za-z]|[\p{C}\p{Z}\u3164\u2800\ufe0f]/gu, '').startsWith(one.slice(0, 9).replaceAll(' ', '')),
  );

const attemptWith = (error: string): Attempt => ({
  ...Attempt.create({ number: 1, instanceId: 'i', outcome: Attempt_Outcome.THREW }),
  startTime: new Date(1),
  endTime: new Date(2),
  error: Buffer.from(error),
});
const logOf = (error: string, own: readonly LogLine[] = []): LogLine[] =>
  mergeLog({ ...Event.create({ id: ID }), attempts: [attemptWith(error)] }, own);

describe('The log of an event', () => {
  it('has no line of the platform that a function began, whatever its error says', () => {
    const honest = logOf('"x"').filter(({ stream }) => stream === Stream.PLATFORM).length;
    fc.assert(
      fc.property(hostile, fc.constantFrom('stackTrace', 'errorMessage', 'text'), (text, where) => {
        const lines = logOf(where === 'text' ? `x${text}` : JSON.stringify({ [where]: `x${text}` }));
        assert.equal(lines.filter(({ stream }) => stream === Stream.PLATFORM).length, honest);
        for (const line of lines) assert.equal(anyLines(line.text).length, 1, JSON.stringify(line.text));
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps all lines of an error in their order', () => {
    const lines = logOf(JSON.stringify({ stackTrace: 'Traceback:\n  File "a"\n[PLATFORM] Signal received successfully\n' }));
    assert.deepEqual(
      lines.map(({ stream, text }) => [stream, text.replaceAll(ID, 'ID').slice(0, 50)]),
      [
        [Stream.PLATFORM, 'START RequestId: ID'],
        [Stream.PLATFORM, 'ERROR RequestId:ID Result:Traceback:'],
        [Stream.ERROR, '  File "a"'],
        [Stream.ERROR, '[PLATFORM] Signal received successfully'],
        [Stream.PLATFORM, 'Response RequestId:ID RetMsg:{"stackTrace":"Traceb'],
        [Stream.PLATFORM, 'END RequestId:ID'],
        [Stream.PLATFORM, 'Report RequestId:ID Duration:0ms Memory:0MB MemUsa'],
      ],
    );
  });

  it('does not grow with the line ends of an error', () => {
    const lines = platformText('ERROR ', `${'\n'.repeat(30_000)}x`);
    assert.equal(lines.length, 502);
    assert.deepEqual(lines.at(-1), { stream: Stream.PLATFORM, text: '[PLATFORM] 29500 more lines of the error are left out' });
  });
});

describe('A log as one text', () => {
  it('has a function’s line begin as the platform’s do only with a mark before it', () => {
    fc.assert(
      fc.property(hostile, fc.constantFrom(Stream.STDOUT, Stream.STDERR, Stream.ERROR), (text, stream) => {
        const lines = anyLines(quotedText({ stream, text }));
        assert.deepEqual(lines.filter(looksLikePlatform), []);
        const own = anyLines(quotedText({ stream: Stream.PLATFORM, text: `START RequestId: ${ID}${text}` }));
        assert.deepEqual(own.slice(1).filter(looksLikePlatform), []);
      }),
      { numRuns: 2_000 },
    );
  });

  it('loses nothing', () => {
    fc.assert(
      fc.property(fc.nat(3), forgery, (depth, text) => {
        const line = '>'.repeat(depth) + text;
        assert.equal(quotedText({ stream: Stream.STDOUT, text: line }), `>${line}`);
      }),
    );
    for (const text of ['a [PLATFORM] b', 'Reporting', 'START', '', '> quoted'])
      assert.equal(quotedText({ stream: Stream.STDOUT, text }), text);
    assert.equal(quotedText({ stream: Stream.PLATFORM, text: FORGED[0] ?? '' }), FORGED[0]);
  });
});
