import assert from 'node:assert/strict';
import { it } from 'node:test';
import { faultsOf } from './health.ts';

const well = { failing: [], takingOver: new Map<number, number>(), brokenSinceMs: undefined };

it('nothing is a fault before it has lasted, and nothing once it is over', () => {
  assert.deepEqual(faultsOf(well, 1_000_000), []);
  const failing = [{ partition: 3, sinceMs: 1_000, error: 'LOG_UNAVAILABLE' }];
  assert.deepEqual(faultsOf({ ...well, failing }, 8_999), []);
  assert.deepEqual(faultsOf({ ...well, failing }, 13_000), ['records of partition 3 cannot be written for 12 s: LOG_UNAVAILABLE']);
  assert.deepEqual(
    faultsOf(
      {
        ...well,
        takingOver: new Map([
          [1, 0],
          [2, 5],
        ]),
      },
      70_000,
    ),
    [
      // prettier-ignore
      'partition 1, 2 is being taken over for 70 s and does not run yet',
    ],
  );
  assert.deepEqual(faultsOf({ ...well, brokenSinceMs: 0 }, 10_000), ['the stream to the scheduler has broken again and again for 10 s']);
});
