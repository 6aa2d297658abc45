import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { ConversationEvents } from '../../ports.ts';
import { boundedEvents } from './bounded.ts';

type Reported = readonly [what: string, ...rest: unknown[]];

/** A listener of bounded events, and what it receives. */
function listener(): { readonly events: ConversationEvents; readonly reported: Reported[] } {
  const reported: Reported[] = [];
  const quiet = (): void => undefined;
  const events: ConversationEvents = {
    onGreeted: quiet,
    onLoaded: quiet,
    onLoadFailed: ({ statusCode, message, error }) => void reported.push(['load failed', statusCode, message, error?.toString()]),
    onAnswered: (_, body) => void reported.push(['answered', body.toString()]),
    onFailed: (_, { statusCode, error }) => void reported.push(['failed', statusCode, error.toString()]),
    onReceived: quiet,
    onFree: quiet,
    onFinished: quiet,
    onHandlers: quiet,
    onHookEnded: (_, ok, text) => void reported.push(['hook', ok, text]),
    onExtensionRequested: () => ({ grantedMs: 0, reason: '' }),
    onBroken: (text) => void reported.push(['broken', text]),
  };
  return { events: boundedEvents(events, () => 'the-id'), reported };
}

const isObject = (text: unknown): boolean => {
  const value: unknown = JSON.parse(String(text));
  return typeof value === 'object' && value !== null && !Array.isArray(value);
};

describe('The bounds of a runtime', () => {
  it('lets results through as JSON text of one line, numbers as they are written', () => {
    for (const [body, result] of [
      ['{"answer": 42}\n', '{"answer":42}'],
      [' [ 9007199254740993 , 1.0 , 1E400 , -0.0 ,\r\n "a  b\\n" ] ', '[9007199254740993,1.0,1E400,-0.0,"a  b\\n"]'],
      ['plain words\nin two lines', '"plain words\\nin two lines"'],
      ['', 'null'],
      ['NaN', '"NaN"'],
      ['{"a":1,"a":2}', '{"a":1,"a":2}'],
    ] as const) {
      const { events, reported } = listener();
      events.onAnswered(1, Buffer.from(body), 1);
      assert.deepEqual(reported, [['answered', result]]);
    }
  });

  it('reports a result that is too large by 407, with the id of its event', () => {
    const { events, reported } = listener();
    events.onAnswered(1, Buffer.alloc(6 * 1024 * 1024 + 1, 0x20), 1);
    assert.equal(reported[0]?.[1], 407);
    assert.match(String(reported[0]?.[2]), /"requestId":"the-id"/);
  });

  it('holds any bytes of any result and any error to JSON within the limits', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((each) => Buffer.from(each)),
      fc.json().map((text) => Buffer.from(text)),
      fc.jsonValue().map((value) => Buffer.from(JSON.stringify(value, null, '\t'))),
      fc
        .integer({ min: 1, max: 300_000 })
        .map((length) => Buffer.from(JSON.stringify({ errorMessage: '\u0001'.repeat(length), stack: ['é'] }))),
    );
    fc.assert(
      fc.property(bytes, fc.integer({ min: 0, max: 65_535 }), (body, statusCode) => {
        const { events, reported } = listener();
        events.onAnswered(1, body, 1);
        events.onFailed(1, { statusCode, error: body, tookMs: 1, mustExit: false });
        events.onLoadFailed({ statusCode, message: body.toString(), error: body });
        events.onHookEnded(1, false, body.toString());
        const [answered, failed, loadFailed, hook] = reported;
        assert.doesNotThrow(() => void JSON.parse(String(answered?.[1])));
        assert.doesNotMatch(String(answered?.[1]), /[\r\n]/);
        assert.ok([430, 407, 437, 443].includes(Number(failed?.[1])));
        assert.ok([437, 443].includes(Number(loadFailed?.[1])));
        for (const error of [failed?.[2], loadFailed?.[3]]) {
          assert.ok(String(error) === '' || isObject(error), String(error).slice(0, 100));
          assert.ok(Buffer.byteLength(String(error)) <= 64 * 1024);
        }
        assert.ok(Buffer.byteLength(String(hook?.[2])) <= 4 * 1024);
      }),
    );
  });
});
