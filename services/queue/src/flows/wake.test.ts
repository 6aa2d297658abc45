import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import { createWake } from './wake.ts';

const LONG_MS = 60_000;
const never = new AbortController().signal;

describe('a wake', () => {
  it('wakes once for all that is requested in one turn, in the turn after it', async () => {
    const wake = createWake();
    const events: string[] = [];
    const waiting = wake.wait(LONG_MS, never).then(() => events.push('woken'));
    wake.request();
    wake.request();
    await Promise.resolve();
    events.push('same turn');
    await waiting;
    assert.deepEqual(events, ['same turn', 'woken']);
    await wake.wait(0, never); // by the time alone: no request is left
  });

  it('does not lose what is requested while nothing waits', async () => {
    const wake = createWake();
    wake.request();
    await wake.wait(LONG_MS, never);
    wake.request();
    await new Promise((resolve) => setImmediate(resolve));
    await wake.wait(LONG_MS, never);
  });

  it('leaves nothing at the signal, which outlives it', async () => {
    const wake = createWake();
    const { signal } = new AbortController();
    for (let n = 0; n < 5; n++) {
      await wake.wait(1, signal);
      wake.request();
      await wake.wait(LONG_MS, signal);
    }
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('ends with its time, and with the signal', async () => {
    const wake = createWake();
    await wake.wait(1, never);
    const stopping = new AbortController();
    const waiting = wake.wait(LONG_MS, stopping.signal);
    stopping.abort();
    await waiting;
    await wake.wait(LONG_MS, stopping.signal);
  });
});
