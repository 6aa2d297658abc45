import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import type { Clock } from '@evenfall/time';
import type { Begun, WaitTimes } from './types.ts';

/** Longest wait that a back-off after a system error comes to; that of a user error is the function's. */
const MOST_BACKOFF_MS = 5 * 60_000;

/**
 * Measures an event that was accepted just now: the wall clock, which may be set at any time, decides nothing. A delay is the difference of two times that
 * one writer wrote at one moment.
 */
export function waitingOfNew({ event }: FoldedEvent, clock: Clock): WaitTimes {
  const nowMs = clock.monotonic();
  return { acceptedMs: nowMs, dueMs: nowMs + between(event?.createTime, event?.nextAttemptTime) };
}

/**
 * Measures an event that another owner, or this one before it started, has waited with: what had passed when the tenure began is the difference of two
 * times of the log's own clock, and from there on the monotonic clock counts. `acceptedMs` is given where this owner knows it.
 *
 * Where the log has no such times (records of before, a topic without LogAppendTime) the times that the owners wrote are compared with the wall clock: the
 * event has not waited for less than nothing then, and waits no longer than it would have from the beginning.
 */
export function waitingOfKnown(folded: FoldedEvent, clock: Clock, begun: Begun | undefined, acceptedMs?: number): WaitTimes {
  const { waitMs, acceptLogTime, waitLogTime } = folded;
  const sinceMs = passedBefore(waitLogTime, begun);
  return {
    acceptedMs: acceptedMs ?? passedBefore(acceptLogTime, begun) ?? acceptedByWall(folded, clock),
    dueMs: sinceMs === undefined ? dueByWall(folded, clock) : sinceMs + waitMs,
  };
}

/** When something was, by the owner's monotonic clock, of which the log has the time: the beginning of the tenure, or before it. Undefined without a time. */
function passedBefore(logTime: Date | undefined, begun: Begun | undefined): number | undefined {
  if (!logTime || begun?.begunLogMs === undefined) return undefined;
  return begun.begunMs - Math.max(0, begun.begunLogMs - logTime.getTime());
}

/**
 * Since when an ended event waits for its destination, by the owner's monotonic clock: it may also have ended within the tenure. Undefined where the log
 * does not say.
 */
export function waitsSince({ waitLogTime }: FoldedEvent, clock: Clock, begun: Begun | undefined): number | undefined {
  const sinceMs = passedBefore(waitLogTime, begun);
  if (sinceMs === undefined || !waitLogTime || begun?.begunLogMs === undefined) return undefined;
  return Math.min(sinceMs + Math.max(0, waitLogTime.getTime() - begun.begunLogMs), clock.monotonic());
}

function acceptedByWall({ event, policy }: FoldedEvent, clock: Clock): number {
  const wallMs = clock.now();
  const agedMs = wallMs - (event?.createTime?.getTime() ?? wallMs);
  return clock.monotonic() - Math.min(Math.max(0, agedMs), policy?.maxEventAgeMs ?? 0);
}

function dueByWall({ event, policy }: FoldedEvent, clock: Clock): number {
  const isRetry = (event?.attempts.length ?? 0) > 0;
  const mostMs = isRetry ? Math.max(policy?.retryIntervalMs ?? 0, MOST_BACKOFF_MS) : between(event?.createTime, event?.nextAttemptTime);
  const leftMs = (event?.nextAttemptTime?.getTime() ?? 0) - clock.now();
  return clock.monotonic() + Math.min(Math.max(0, leftMs), mostMs);
}

function between(from: Date | undefined, to: Date | undefined): number {
  return from && to ? Math.max(0, to.getTime() - from.getTime()) : 0;
}
