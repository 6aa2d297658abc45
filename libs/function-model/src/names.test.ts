import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import fc from 'fast-check';
import { callTimeoutMs, completeQualifier, functionNameRefusal, LATEST_NUMBER, NAME, versionName, versionNumberOf } from './index.ts';

describe('names', () => {
  it('have 2 to 60 characters, the first a letter, the last a letter or digit', () => {
    for (const good of ['ab', 'a1', 'a-_b', 'a'.repeat(60)]) assert.equal(functionNameRefusal('default', good), undefined, good);
    for (const bad of ['', 'a', '1a', 'a-', 'a_', 'a'.repeat(61), 'ä1', 'a b', 'ab\n']) {
      assert.equal(functionNameRefusal('default', bad)?.metadata['field'], 'function', JSON.stringify(bad));
      assert.equal(functionNameRefusal(bad, 'fn')?.metadata['field'], 'namespace', JSON.stringify(bad));
    }
  });

  it('are not repeated whole in a refusal, however long they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 5_000 }), (text) => {
        const refusal = functionNameRefusal('default', text);
        assert.equal(refusal === undefined, NAME.test(text));
        if (refusal) assert.ok(refusal.message.length < 400);
      }),
    );
  });
});

describe('qualifiers', () => {
  it('name the newest version where nothing is said', () => {
    assert.equal(completeQualifier(''), '$LATEST');
    for (const latest of ['', '$LATEST', '$DEFAULT']) assert.equal(versionNumberOf(latest), LATEST_NUMBER);
  });

  it('name a published version by its number, and nothing by what is none', () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 999_999_999 }), (number) => versionNumberOf(versionName(number)) === number));
    for (const none of ['0', '01', 'prod', '1000000000', '-1', '1.0']) assert.equal(versionNumberOf(none), undefined);
    assert.ok(isRefusal(completeQualifier('not a qualifier')));
  });
});

describe('the time-out of a synchronous call', () => {
  it('covers every wait at its longest, and a run of at most 900 s', () => {
    const fn = { initTimeout: undefined, timeout: undefined };
    assert.equal(callTimeoutMs(10_000, fn), 10_000 + 65_000 + 3_000 + 15_000);
    assert.equal(callTimeoutMs(0, { ...fn, timeout: { seconds: 86_400n, nanos: 0 } }), 65_000 + 900_000 + 15_000);
  });
});
