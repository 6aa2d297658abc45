import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { connectionShare } from './connection-share.ts';

describe('The connections of an instance', () => {
  it('are never so many that all instances together fill more than half of the host’s table, unless that is reported', () => {
    const sizes = fc.integer({ min: 0, max: 16_777_216 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 65_536 }), (most, instances) => {
        const { each, isSafe } = connectionShare(most, instances);
        assert.ok(each >= 32 && each <= 4_096);
        assert.equal(isSafe, most / 2 / Math.max(1, instances) >= 32);
        if (isSafe) assert.ok(each * instances <= most / 2);
      }),
    );
  });

  it('are 4,096 where there is room', () => {
    assert.deepEqual(connectionShare(262_144, 16), { each: 4_096, isSafe: true });
    assert.deepEqual(connectionShare(262_144, 288), { each: 455, isSafe: true });
    assert.deepEqual(connectionShare(8_192, 1_024), { each: 32, isSafe: false });
  });
});
