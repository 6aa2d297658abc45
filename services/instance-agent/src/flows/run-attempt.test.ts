import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fakeClock } from '@evenfall/time';
import type { Agent, Attempt, Instance } from './agent.ts';
import { handOver } from './run-attempt.ts';

/** Hands an attempt over to an instance of a function with this timeout, and tells when it is due. */
function dueAfter(timeoutMs: number, synchronous: boolean): number {
  const clock = fakeClock();
  let dueMs = 0;
  const quiet = (): void => undefined;
  // Only what a hand-over touches.
  const agent = {
    clock,
    outbox: { report: quiet },
    deadlines: { set: (_: Instance, at: number) => (dueMs = at) },
    feed: quiet,
  } as unknown as Agent;
  const instance = { timeoutMs, idleLines: [], seq: 0, fn: { memoryMb: 128 } } as unknown as Instance;
  const attempt = { eventId: '01990000-0000-7000-8000-000000000003', payload: Buffer.alloc(0), synchronous } as Attempt;
  handOver(agent, instance, attempt);
  return dueMs - clock.monotonic();
}

describe('An attempt that is handed over', () => {
  it('is due after the timeout of its function, a synchronous call after 900 s at the latest', () => {
    assert.equal(dueAfter(86_400_000, false), 86_400_000);
    assert.equal(dueAfter(86_400_000, true), 900_000);
    assert.equal(dueAfter(5_000, true), 5_000);
  });
});
