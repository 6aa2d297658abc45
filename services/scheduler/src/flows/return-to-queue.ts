import { durationOfMs } from '@evenfall/time';
import { blockOf, isAtQuota } from '../domain/account.ts';
import { forgetAttempt } from '../domain/cluster.ts';
import type { Pool, Share } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** How long nothing of a function has moved before what waits for it is given back. */
const STALLED_MS = 1_000;
/** Attempts that are kept all the same: what becomes free has something to do at once. */
const KEPT = 16;
/** When the queue may send some again. */
const RETRY_AFTER_MS = 2_000;

/**
 * Gives most of what waits back to the queue if its function has used up what is reserved for it, or is off, or its namespace has all the instances it may
 * have, and nothing moves: the queue has
 * a bounded number of attempts on their way, and those of functions that may not run would keep all others from being sent.
 */
export function returnToQueue(ports: SchedulerPorts, pool: Pool): void {
  const { account, agents } = ports.cluster;
  const { share } = pool;
  const isAtLimit = share.reservedMb !== undefined || isAtQuota(share);
  const kept = isAtQuota(share) ? keptOfEach(share) : KEPT;
  if (!isAtLimit || pool.waiting.size <= kept || !pool.fn) return;
  if (ports.clock.monotonic() - pool.lastProgressMs < STALLED_MS) return;
  if (!blockOf(account, agents.values(), pool, pool.fn.memoryMb)) return;
  for (const attempt of pool.waiting.removeBehind(kept)) {
    const { eventId, attempt: number, partition } = attempt.assignment;
    forgetAttempt(ports.cluster, attempt);
    ports.counters.attempts_throttled_total++;
    const value = { statusCode: 432, retryAfter: durationOfMs(RETRY_AFTER_MS) };
    attempt.sink.report({ eventId, attempt: number, partition, report: { $case: 'throttled', value } });
  }
}

/** Functions of a namespace that wait for the same instances keep as many together as one does: a thousand of them must not take the queue's window. */
function keptOfEach({ space }: Share): number {
  let waiting = 0;
  for (const { pools } of space.shares) for (const pool of pools) if (pool.waiting.size > 0) waiting++;
  return Math.floor(KEPT / Math.max(1, waiting));
}
