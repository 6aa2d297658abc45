import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Clock } from '@evenfall/time';

/** Longest wait that a back-off after a system error comes to; that of a user error is the function's. */
const MOST_BACKOFF_MS = 5 * 60_000;

/** When an event was accepted, and before when it is not dispatched, both by the monotonic clock of its owner. */
export type Waiting = { readonly acceptedMs: number; readonly dueMs: number };

/**
 * Measures an event that was accepted just now: the wall clock, which may be set at any time, decides nothing. A delay is the difference of two times that
 * one writer wrote at one moment.
 */
export function waitingOfNew({ event }: StoredEvent, clock: Clock): Waiting {
  const nowMs = clock.monotonic();
  return { acceptedMs: nowMs, dueMs: nowMs + between(event?.createTime, event?.nextAttemptTime) };
}

/**
 * Measures an event that another owner, or this one before it started, has waited with: by the times in the log. Whatever the clock was set to meanwhile, it
 * has not waited for less than nothing, and waits no longer than it would have from the beginning. `acceptedMs` is given where this owner knows it.
 */
export function waitingOfKnown(stored: StoredEvent, clock: Clock, acceptedMs?: number): Waiting {
  const { event, policy } = stored;
  const [nowMs, wallMs] = [clock.monotonic(), clock.now()];
  const agedMs = Math.min(Math.max(0, wallMs - (event?.createTime?.getTime() ?? wallMs)), policy?.maxEventAgeMs ?? 0);
  const isRetry = (event?.attempts.length ?? 0) > 0;
  const mostMs = isRetry ? Math.max(policy?.retryIntervalMs ?? 0, MOST_BACKOFF_MS) : between(event?.createTime, event?.nextAttemptTime);
  const leftMs = (event?.nextAttemptTime?.getTime() ?? 0) - wallMs;
  return { acceptedMs: acceptedMs ?? nowMs - agedMs, dueMs: nowMs + Math.min(Math.max(0, leftMs), mostMs) };
}

function between(from: Date | undefined, to: Date | undefined): number {
  return from && to ? Math.max(0, to.getTime() - from.getTime()) : 0;
}

/** Whether an event has waited for as long as it may. */
export function isPastAge(stored: StoredEvent, agedMs: number): boolean {
  return agedMs >= (stored.policy?.maxEventAgeMs ?? 0);
}
