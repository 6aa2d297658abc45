import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Claim, shareOut } from './assigner.ts';

const claims = (given: Readonly<Record<string, Claim>>): Map<string, Claim> => new Map(Object.entries(given));
const share = (given: Readonly<Record<string, Claim>>, count: number) => Object.fromEntries(shareOut(claims(given), count));
const of = (generation: number, ...partitions: number[]): Claim => ({ generation, partitions });

describe('Sharing out partitions', () => {
  it('moves only what a newcomer gets', () => {
    assert.deepEqual(share({ a: of(1, 0, 1, 2, 3), b: of(-1) }, 4), { a: [0, 1], b: [2, 3] });
    assert.deepEqual(share({ a: of(2, 0, 1), b: of(2, 2, 3), c: of(-1) }, 4), { a: [0, 1], b: [2], c: [3] });
  });

  it('assigns the partitions of a member that left to those that stay', () => {
    assert.deepEqual(share({ a: of(3, 0, 3), b: of(3, 1) }, 6), { a: [0, 3, 2], b: [1, 4, 5] });
  });

  it('follows the later of two claims', () => {
    assert.deepEqual(share({ zombie: of(3, 0, 1, 2, 3), heir: of(7, 0, 1) }, 4), { heir: [0, 1], zombie: [2, 3] });
  });

  it('gives every partition to one member, evenly, and moves no more than it must', () => {
    const member = fc.record({ generation: fc.integer({ min: -1, max: 5 }), partitions: fc.uniqueArray(fc.integer({ min: 0, max: 15 })) });
    fc.assert(
      fc.property(fc.array(member, { minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 12 }), (members, count) => {
        const given = new Map(members.map((claim, i) => [`m${i}`, claim]));
        const shares = shareOut(given, count);
        const sizes = [...shares.values()].map((partitions) => partitions.length);
        assert.deepEqual(
          [...shares.values()].flat().sort((a, b) => a - b),
          Array.from({ length: count }, (_, i) => i),
        );
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
        const again = new Map([...shares].map(([id, partitions]) => [id, { generation: 6, partitions }]));
        assert.deepEqual(
          new Map([...shareOut(again, count)].map(([id, partitions]) => [id, new Set(partitions)])),
          new Map([...shares].map(([id, partitions]) => [id, new Set(partitions)])),
          'shared out again, nothing moves',
        );
      }),
    );
  });
});
