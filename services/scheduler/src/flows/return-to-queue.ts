import { durationOfMs } from '@evenfall/time';
import { blockOf, isAtQuota } from '../domain/account.ts';
import { forgetAttempt } from '../domain/cluster.ts';
import type { Pool, Share } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** How long a function makes no progress before its waiting attempts are returned. */
const STALLED_MS = 1_000;
/** Attempts that are not returned: an instance that becomes free has work at once. */
const KEPT = 16;
/** When the queue may send some again. */
const RETRY_AFTER_MS = 2_000;

/**
 * Returns most of the waiting attempts to the queue if their function has used up its reserved concurrency, or is off, or its namespace is at its quota of
 * instances, and it makes no progress. The queue has a bounded number of dispatched attempts: those of functions that may not run would keep all
 * others from being dispatched.
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
