import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '@evenfall/telemetry';
import { readinessOf, watchDependencies } from './dependencies.ts';

/** A dependency with answers of the test, which signals when it has been asked often enough. */
function seen() {
  let isThere = false;
  let asked = 0;
  let onAsked: (() => void) | undefined;
  return {
    set: (there: boolean): void => void (isThere = there),
    askedTwiceMore(): Promise<void> {
      const enough = asked + 2;
      return new Promise((resolve) => (onAsked = () => asked >= enough && resolve()));
    },
    answers: (): Promise<boolean> => {
      asked++;
      onAsked?.();
      return isThere ? Promise.resolve(true) : Promise.reject(new Error('away'));
    },
  };
}

describe('Dependencies', () => {
  it('make a process ready once each has answered, and say each change once', async () => {
    const lines: string[] = [];
    const watched = watchDependencies(createLog('test', { format: 'text', write: (line) => void lines.push(line) }), 0);
    const one = seen();
    watched.add({ name: 'one', answers: one.answers });
    await one.askedTwiceMore();
    assert.deepEqual(readinessOf(true, watched), { isReady: false, waitsFor: ['one'] });
    assert.deepEqual(readinessOf(false, watched), { isReady: false, waitsFor: ['its own start', 'one'] });
    one.set(true);
    await watched.met(new AbortController().signal);
    assert.deepEqual(readinessOf(true, watched), { isReady: true, waitsFor: [] });
    one.set(false);
    await one.askedTwiceMore();
    assert.deepEqual(readinessOf(true, watched), { isReady: true, waitsFor: ['one'] });
    await watched.stop();
    const output = lines.map((line) => line.replace(/^\S+ (\w+) test (.*)\n$/, '$1 $2'));
    assert.deepEqual(output, [
      'warn waiting for a dependency name=one',
      'info the dependency answers name=one',
      'warn a dependency does not answer any more name=one',
    ]);
  });

  it('do not delay a stop', async () => {
    const watched = watchDependencies(createLog('test', { level: 'error' }));
    watched.add({ name: 'silent', answers: () => new Promise<boolean>(() => undefined) });
    const stopping = new AbortController();
    const met = watched.met(stopping.signal);
    stopping.abort();
    await met;
    await watched.stop();
  });
});
