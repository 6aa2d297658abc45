import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  checkEnd,
  compact,
  compactBytes,
  jsonOrString,
  parseKeeping,
  pretty,
  rawText,
  readArray,
  skipSpace,
  skipValue,
  stringify,
} from './index.ts';
import { hostileJson } from './testing/hostile-json.ts';

const NAMES = new Set(['result']);
const isJson = (bytes: Uint8Array): boolean => {
  try {
    checkEnd(bytes, skipValue(bytes, skipSpace(bytes, 0)));
    return true;
  } catch {
    return false;
  }
};
const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe('JSON text', () => {
  it('is taken exactly where JSON.parse takes it', () => {
    const almost = fc.string({ unit: fc.constantFrom(...'[]{},:"\\u0019aAeE+-. \n\ttruefalsnl/b\u0001é'.split('')), maxLength: 12 });
    fc.assert(
      fc.property(fc.oneof(almost, hostileJson()), (text) => assert.equal(isJson(Buffer.from(text)), parses(text), text)),
      { numRuns: 5_000 },
    );
    for (const text of [
      '',
      ' ',
      '01',
      '-',
      '1.',
      '.5',
      '1e',
      '+1',
      'nul',
      'truex',
      '"\\x"',
      '"\\u12g4"',
      '[1,]',
      '{"a":1,}',
      '{a:1}',
      '[1 2]',
      '"\n"',
      '\u00a01',
      '1//',
    ])
      assert.equal(isJson(Buffer.from(text)), false, text);
  });

  it('may be nested as deeply as it likes', () => {
    const deep = `${'[{"a":'.repeat(200_000)}1${'}]'.repeat(200_000)}`;
    assert.ok(isJson(Buffer.from(deep)));
    assert.equal(isJson(Buffer.from(deep.slice(0, -1))), false);
  });

  it('is cut out byte for byte', () => {
    fc.assert(
      fc.property(fc.array(hostileJson(), { maxLength: 5 }), (texts) => {
        const document = Buffer.from(` [ ${texts.join(' ,\n')} ]`);
        const cut: string[] = [];
        readArray(document, 1, (at) => {
          const end = skipValue(document, at);
          cut.push(document.toString('utf8', at, end));
          return end;
        });
        assert.deepEqual(
          cut,
          texts.map((text) => text.trim()),
        );
      }),
    );
  });

  it('is kept where it is named, and laid out without a change of its tokens', () => {
    fc.assert(
      fc.property(hostileJson(), (text) => {
        const document = `{"id":"x","list":[{"result":${text}}],"result":${text}}`;
        const parsed = parseKeeping(document, NAMES) as { result: unknown };
        assert.equal(stringify(parsed), compact(document));
        assert.equal(rawText(parsed.result), compact(text));
        assert.equal(compact(pretty(text)), compact(text));
        assert.ok(!/[\r\n]/.test(compact(text)));
        assert.equal(compactBytes(Buffer.from(text)).toString(), compact(text));
      }),
    );
    assert.equal(pretty('[1.0, {"b": "{"}]'), '[\n  1.0,\n  {\n    "b": "{"\n  }\n]');
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    assert.equal(compact(pretty(deep)), deep);
    assert.equal(pretty('{"a":[1.0,{}],"b":[]}'), '{\n  "a": [\n    1.0,\n    {}\n  ],\n  "b": []\n}');
  });

  it('becomes a string where it is none', () => {
    for (const [bytes, expected] of [
      [Buffer.alloc(0), 'null'],
      [Buffer.from('{"n": 1.0}\n'), '{"n": 1.0}\n'],
      [Buffer.from('<html>"'), '"<html>\\""'],
      [Buffer.from('{"a":"\xff"}', 'latin1'), '"{\\"a\\":\\"\ufffd\\"}"'],
      [Buffer.from('\ufeff1'), '"\ufeff1"'],
    ] as const)
      assert.equal(jsonOrString(bytes), expected);
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void JSON.parse(jsonOrString(bytes))));
  });
});
