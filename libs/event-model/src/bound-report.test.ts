import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { boundError, boundResult } from './bound-report.ts';
import { LIMITS } from './limits.ts';

const KIB = 1024;

function fieldsOf(error: Buffer): Record<string, unknown> {
  return JSON.parse(error.toString('utf8')) as Record<string, unknown>; // boundError gives an object
}

describe('an error of a function', () => {
  it('stays as it is when it is small', () => {
    const error = Buffer.from('{"errorCode":-1, "errorMessage":"no","statusCode":430}');
    assert.equal(boundError(error), error);
    assert.equal(boundError(Buffer.alloc(0)).length, 0);
  });

  it('is cut in its message, its type and its stack, each by its own limit', () => {
    const error = {
      errorCode: -1,
      errorMessage: 'm'.repeat(9_000_000),
      errorType: 't'.repeat(5_000),
      requestId: 'r',
      stackTrace: `first${'s'.repeat(40_000)}last`,
      statusCode: 430,
    };
    const bounded = fieldsOf(boundError(Buffer.from(JSON.stringify(error))));
    assert.match(String(bounded['errorMessage']), /^m{4000,}… \[cut from 9000000 bytes\]$/);
    assert.match(String(bounded['errorType']), /^t{4000,}… \[cut from 5000 bytes\]$/);
    assert.match(String(bounded['stackTrace']), /^firsts+… \[cut from 40009 bytes\] … s+last$/);
    assert.deepEqual([bounded['errorCode'], bounded['requestId'], bounded['statusCode']], [-1, 'r', 430]);
  });

  it('becomes a message where it is no JSON object', () => {
    for (const text of ['', 'no json', '[1]', '"text"', '{"errorMessage":"cut', 'x'.repeat(20 * 1024 * KIB)].slice(1)) {
      const { errorMessage } = fieldsOf(boundError(Buffer.from(text)));
      assert.equal(String(errorMessage).slice(0, 100), text.slice(0, 100));
    }
    assert.match(String(fieldsOf(boundError(Buffer.from('x'.repeat(5_000))))['errorMessage']), /^x{4000,}… \[cut from 5000 bytes\]$/);
  });

  it('becomes a message where it is nested deeply, and never throws', () => {
    for (const depth of [33, 1_000, 10_000, 4_000_000]) {
      for (const [open, close] of [
        ['[', ']'],
        ['{"a":', '}'],
      ] as const) {
        const error = `{"errorMessage":"x","stackTrace":${open.repeat(depth)}${open === '[' ? '' : '1'}${close.repeat(depth)}}`;
        const { errorMessage } = fieldsOf(boundError(Buffer.from(error)));
        assert.equal(String(errorMessage).slice(0, 100), error.slice(0, 100));
      }
    }
    const flat = Buffer.from(JSON.stringify({ errorMessage: '[{'.repeat(1_000), stackTrace: [['\\"', '[['.repeat(100)]] }));
    assert.equal(boundError(flat), flat);
  });

  it('is within its limits whatever comes, and stays as it is the second time', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc
        .tuple(fc.constantFrom('a', '\u0000', '"', 'é', '😀', '\ud800'), fc.integer({ min: 1, max: 100_000 }))
        .map(([unit, times]) => unit.repeat(times)),
    );
    const value = fc.oneof(text, fc.double(), fc.array(text, { maxLength: 4 }), fc.constant(null));
    const fields = fc.dictionary(fc.oneof(fc.constantFrom('errorMessage', 'errorType', 'stackTrace', '__proto__'), text), value, {
      maxKeys: 50,
    });
    const bytes = fc.oneof(
      fields.map((one) => Buffer.from(JSON.stringify(one))),
      fc.uint8Array({ maxLength: 9_000 }).map((one) => Buffer.from(one)),
    );
    fc.assert(
      fc.property(bytes, (error) => {
        const bounded = boundError(error);
        assert.ok(bounded.length <= LIMITS.errorBytes);
        if (error.length > 0) fieldsOf(bounded);
        assert.deepEqual(boundError(bounded), bounded);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a result', () => {
  it('is cut between characters, and says so', () => {
    const small = Buffer.from('"x"');
    assert.deepEqual(boundResult(small), { result: small, truncated: false });
    const { result, truncated } = boundResult(Buffer.from(`"${'é'.repeat(200_000)}"`));
    assert.deepEqual([result.length, truncated], [LIMITS.resultBytes - 1, true]);
  });
});
