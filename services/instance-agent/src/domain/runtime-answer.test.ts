import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failureJson, MAX_RESULT_BYTES, readRuntimeError, resultOf } from './runtime-answer.ts';

describe('What a program answers', () => {
  for (const [body, result] of [
    ['{"n": 1}', '{"n":1}'],
    ['"END"', '"END"'],
    ['END', '"END"'],
    ['', 'null'],
    [' 7\n', '7'],
    ['{"n": 1', '"{\\"n\\": 1"'],
    ['NaN', '"NaN"'],
  ] as const) {
    it(`is JSON, or becomes a string of it: ${JSON.stringify(body)}`, () => {
      assert.equal(resultOf(Buffer.from(body)).toString(), result);
    });
  }

  it('is read as UTF-8 whatever it is, and is never JSON that others cannot read', () => {
    assert.equal(resultOf(Buffer.from([0x22, 0xff, 0x22])).toString(), '"\\"\ufffd\\""');
  });

  it('is not larger than 6 MB, quoted or not', () => {
    assert.ok(Buffer.isBuffer(resultOf(Buffer.alloc(MAX_RESULT_BYTES, 0x31))));
    assert.equal(resultOf(Buffer.alloc(MAX_RESULT_BYTES + 1, 0x31)), 'body size is too long: 6291457 bytes, at most 6291456');
    assert.equal(
      resultOf(Buffer.alloc(MAX_RESULT_BYTES, 0x22)),
      'body size is too long: 12582914 bytes as a JSON string, which its 6291456 bytes of text become, at most 6291456',
    );
  });

  for (const [what, body, type, expected] of [
    [
      'Lambda',
      '{"errorMessage":"m","errorType":"T","stackTrace":["a\\n","b"]}',
      '',
      { errorMessage: 'm', errorType: 'T', stackTrace: 'a\nb' },
    ],
    ['Node', '{"errorMessage":"m","errorType":"T","trace":["a"]}', 'Function.X', { errorMessage: 'm', errorType: 'T', stackTrace: 'a' }],
    [
      'Go',
      '{"errorMessage":"m","errorType":"","stackTrace":[{"path":"p.go","line":3,"label":"f"}]}',
      'Function.Y',
      { errorMessage: 'm', errorType: 'Function.Y', stackTrace: 'f (p.go:3)' },
    ],
    ['SCF', 'plain words', '', { errorMessage: 'plain words' }],
    ['no one', '', '', { errorMessage: 'user code exception caught' }],
    ['a list', '[1]', '', { errorMessage: '[1]' }],
    ['a hostile one', '{"errorMessage":1,"errorType":{},"stackTrace":[null,[],{"path":{}}]}', '', undefined],
  ] as const) {
    it(`is an error in the form of ${what}`, () => {
      const error = JSON.parse(failureJson('id', 430, readRuntimeError(Buffer.from(body), type)).toString()) as Record<string, unknown>;
      assert.deepEqual([error['errorCode'], error['requestId'], error['statusCode']], [-1, 'id', 430]);
      if (expected) assert.deepEqual(error, { errorCode: -1, requestId: 'id', statusCode: 430, ...expected });
    });
  }

  it('is cut where an error has no end', () => {
    const long = 'x'.repeat(1_000_000);
    assert.ok(failureJson('id', 430, { message: long, type: long, stack: [long, long] }).length < 70_000);
  });
});
