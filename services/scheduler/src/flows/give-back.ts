import { durationOfMs } from '@evenfall/time';
import { blockOf } from '../domain/account.ts';
import { forgetAttempt } from '../domain/cluster.ts';
import type { Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** How long nothing of a function has moved before what waits for it is given back. */
const STALLED_MS = 1_000;
/** Attempts that are kept all the same: what becomes free has something to do at once. */
const KEPT = 16;
/** When the queue may send some again. */
const RETRY_AFTER_MS = 2_000;

/**
 * Gives most of what waits back to the queue if its function has used up what is reserved for it, or is off, and nothing moves: the queue has
 * a bounded number of attempts on their way, and those of functions that may not run would keep all others from being sent.
 */
export function giveBack(ports: SchedulerPorts, pool: Pool): void {
  const { account, agents } = ports.cluster;
  if (pool.share.reservedMb === undefined || pool.waiting.size <= KEPT || !pool.spec) return;
  if (ports.clock.monotonic() - pool.lastProgressMs < STALLED_MS) return;
  if (!blockOf(account, agents.values(), pool, pool.spec.memoryMb)) return;
  for (const attempt of pool.waiting.takeBehind(KEPT)) {
    const { eventId, attempt: number, partition } = attempt.assignment;
    forgetAttempt(ports.cluster, attempt);
    ports.counters.attempts_throttled_total++;
    const value = { statusCode: 432, retryAfter: durationOfMs(RETRY_AFTER_MS) };
    attempt.sink.report({ eventId, attempt: number, partition, report: { $case: 'throttled', value } });
  }
}
