import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLanes, createLaneWindow } from '../domain/lanes.ts';
import type { Lane } from '../domain/types.ts';
import { countWaiting } from './count-waiting.ts';

describe('What waits', () => {
  it('is counted by namespace: in memory, parked, and being accepted', () => {
    const lanes = createLanes(createLaneWindow(), 0);
    const lane = (namespace: string, fn: string): Lane => lanes.get({ namespace, function: fn, trigger: 'api' });
    lane('a', 'f').waiting = 3;
    lanes.countAccepting(lane('a', 'g'), 4);
    for (let n = 0; n < 5; n++) lanes.park(lane('b', 'f'), n, Infinity);
    lane('c', 'f'); // nothing of it waits
    const counted = new Map(countWaiting(lanes.all()).namespaces.map(({ namespace, count }) => [namespace, count]));
    assert.deepEqual(
      counted,
      new Map([
        ['a', 7n],
        ['b', 5n],
      ]),
    );
    lanes.unpark(lane('b', 'f'), 5);
    assert.deepEqual(
      countWaiting(lanes.all()).namespaces.map(({ namespace }) => namespace),
      ['a'],
    );
  });
});
