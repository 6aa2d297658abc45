import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createProgress } from './progress.ts';

const at = (offset: number): Map<number, number> => new Map([[0, offset], [1, 5]]); // prettier-ignore

it('a view that stalls while the log goes on is a fault with a reason, until it moves', () => {
  const progress = createProgress(8_000);
  progress.look(0, at(10), at(4));
  progress.look(6_000, at(20), at(4));
  assert.deepEqual(progress.faults(6_000), []);
  progress.note(new Error('it cannot be written'));
  progress.look(9_000, at(20), at(4));
  assert.deepEqual(progress.faults(9_000), ['the view lacks 16 records of 1 partitions and has not moved for 9 s: it cannot be written']);
  progress.look(10_000, at(20), at(5));
  assert.deepEqual(progress.faults(10_000), [], 'slow is not still');
  progress.note(undefined);
  progress.look(30_000, at(20), at(20));
  assert.deepEqual(progress.faults(60_000), []);
});

it('so is one that cannot be looked at', () => {
  const progress = createProgress(8_000);
  progress.failed(0, new Error('no database'));
  assert.deepEqual(progress.faults(7_000), []);
  assert.deepEqual(progress.faults(9_000), ['the view cannot be looked at for 9 s: no database']);
  progress.look(9_500, at(5), at(5));
  assert.deepEqual(progress.faults(20_000), []);
});

it('so is one whose look has no answer, as of a database that hangs', () => {
  const progress = createProgress(8_000);
  progress.asked(0);
  progress.look(1_000, at(5), at(5));
  assert.deepEqual(progress.faults(20_000), [], 'nothing is asked');
  progress.asked(20_000);
  assert.deepEqual(progress.faults(27_000), []);
  assert.deepEqual(progress.faults(29_000), ['the view cannot be looked at for 9 s: there is no answer']);
  progress.failed(30_000, new Error('no database'));
  progress.asked(32_000);
  assert.deepEqual(progress.faults(33_000), ['the view cannot be looked at for 13 s: no database']);
  progress.look(33_500, at(5), at(5));
  assert.deepEqual(progress.faults(60_000), []);
});
