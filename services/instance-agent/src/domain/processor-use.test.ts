import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { lookAtUse, newProcessorUse } from './processor-use.ts';

/** Looks every quarter of a second at an instance that uses these shares of a processor, one after the other. */
function lightAt(shares: readonly number[]): boolean[] {
  const use = newProcessorUse(0);
  let usedUs = 0;
  return shares.map((share, i) => {
    usedUs += share * 250_000;
    const before = use.isLight;
    assert.equal(lookAtUse(use, usedUs, (i + 1) * 250), use.isLight !== before);
    return use.isLight;
  });
}

describe('The use of a processor', () => {
  test('is light below a tenth, and stays so up to a quarter', () => {
    assert.deepEqual(lightAt([0.05, 0.2, 0.24, 0.3, 0.2, 0.11, 0.09]), [true, true, true, false, false, false, true]);
  });

  test('is never light where more than a quarter is used, whatever came before', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 8, noNaN: true }), { maxLength: 20 }), (shares) => {
        for (const [i, isLight] of lightAt(shares).entries()) {
          const share = shares[i] ?? 0;
          if (share > 0.2501) assert.equal(isLight, false);
          if (share < 0.0999) assert.equal(isLight, true);
        }
      }),
    );
  });

  test('is not judged by a moment, nor where the kernel does not report it', () => {
    const use = newProcessorUse(0);
    assert.equal(lookAtUse(use, 0, 199), false);
    assert.equal(lookAtUse(use, undefined, 5_000), false);
    assert.equal(use.isLight, false);
  });
});
