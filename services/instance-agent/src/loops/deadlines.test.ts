import assert from 'node:assert/strict';
import { describe, it, mock } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Instance } from '../flows/types.ts';
import { watchDeadlines } from './deadlines.ts';

/** Only the record it looks at. */
const instance = (): Instance => ({ deadline: { dueMs: Number.POSITIVE_INFINITY, queuedMs: Number.POSITIVE_INFINITY } }) as Instance;

describe('Deadlines', () => {
  it('come up once, at their last time, early or late', () => {
    mock.timers.enable({ apis: ['setTimeout'] });
    let nowMs = 0;
    const due: [number, Instance][] = [];
    const deadlines = watchDeadlines({ now: () => nowMs, monotonic: () => nowMs }, (each) => due.push([nowMs, each]));
    const pass = (ms: number): void => {
      for (let i = 0; i < ms; i++) {
        nowMs += 1;
        mock.timers.tick(1);
      }
    };
    const [later, sooner, never, far] = [instance(), instance(), instance(), instance()];
    deadlines.set(later, 100);
    deadlines.set(sooner, 500);
    deadlines.set(never, 50);
    deadlines.set(far, 130_000);
    pass(40);
    deadlines.set(later, 300);
    deadlines.set(sooner, 60);
    deadlines.set(never, Number.POSITIVE_INFINITY);
    pass(600);
    assert.deepEqual(due, [
      [60, sooner],
      [300, later],
    ]);
    pass(130_000);
    assert.deepEqual(due.at(-1), [130_000, far]);
    assert.equal(due.length, 3);
    deadlines.stop();
    mock.timers.reset();
  });

  it('do not keep the memory of an instance that has ended', () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void; // what the flag adds to a new context
    const deadlines = watchDeadlines({ now: () => 0, monotonic: () => 0 }, () => assert.fail('none is due'));
    const ended = (() => {
      const short = instance();
      deadlines.set(short, 86_400_000);
      deadlines.drop(short);
      return new WeakRef(short);
    })();
    return new Promise<void>((resolve) => setImmediate(resolve)).then(() => {
      collect();
      assert.equal(ended.deref(), undefined);
      deadlines.stop();
    });
  });
});
