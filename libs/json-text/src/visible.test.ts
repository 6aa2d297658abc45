import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { visible, visibleLines } from './index.ts';
import { hostileJson } from './testing/hostile-json.ts';

const unseen = fc.constantFrom(
  ...[
    '\x1b',
    '\x1b[2J',
    '\x1b]0;title\x07',
    '\x1bPq\x1b\\',
    '\r',
    '\n',
    '\t',
    '\b',
    '\x7f',
    '\x9b31m',
    '\x9d0;x\x9c',
    '\0',
    '\v',
    '\f',
    '\x85',
  ],
  ...[
    '\u061c',
    '\u200b',
    '\u200e',
    '\u200f',
    '\u2028',
    '\u2029',
    '\u202a',
    '\u202e',
    '\u2066',
    '\u2069',
    '\ufeff',
    '\u{e0041}',
    '\ud800',
    '\udc00',
  ],
);
const hostile = fc.array(fc.oneof(unseen, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 12 }).map((parts) => parts.join(''));

describe('Text of strangers on a terminal', () => {
  it('has nothing that is obeyed or not seen', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        assert.doesNotMatch(
          visible(text),
          /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u200b\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/u,
        );
        assert.doesNotMatch(visibleLines(text).replace(/[\n\t]/g, ''), /[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u202a-\u202e\u2066-\u2069]/u);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is shown as it is where there is nothing to hide', () => {
    for (const text of ['plain', 'näve', '日本語', '👩‍👩‍👧', '❤️', 'می‌خواهم', 'a\\u001b', '؀١', ' ']) assert.equal(visible(text), text);
    assert.equal(visible('a\x1b[31mb\r\n\tc\u202ed\u{e0041}'), 'a\\u001b[31mb\\r\\n\\tc\\u202ed\\udb40\\udc41');
    assert.equal(visibleLines('a\n\tb\x9b'), 'a\n\tb\\u009b');
  });

  it('stays the JSON it was', () => {
    fc.assert(
      fc.property(hostile, hostileJson({ isFlat: true }), (text, json) => {
        const document = `{"text":${JSON.stringify(text)},"json":${json.replaceAll('\r', '')}}`;
        assert.deepEqual(JSON.parse(visibleLines(document)), JSON.parse(document));
      }),
    );
  });
});
