import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { internalGuard, internalHeaders } from './internal-key.ts';

const KEY = 'correct-horse-battery';
const callWith = (authorization: string | undefined) => ({
  signal: new AbortController().signal,
  header: (name: string) => (name === 'authorization' ? authorization : undefined),
});

describe('The internal key', () => {
  it('lets in who sends it', () => {
    assert.doesNotThrow(() => internalGuard(KEY)?.(callWith(internalHeaders(KEY)['authorization'])));
  });

  it('refuses all other callers', () => {
    for (const sent of [undefined, '', KEY, 'Bearer ', `Bearer ${KEY}x`, `Bearer ${KEY.slice(1)}`, 'Bearer alice:correct-horse']) {
      assert.throws(
        () => internalGuard(KEY)?.(callWith(sent)),
        (error) => isRefusal(error) && error.reason === 'UNAUTHENTICATED' && !error.message.includes(KEY),
      );
    }
  });

  it('is not asked for where there is none', () => {
    assert.equal(internalGuard(undefined), undefined);
    assert.deepEqual(internalHeaders(undefined), {});
  });
});
