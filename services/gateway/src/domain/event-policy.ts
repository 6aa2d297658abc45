import type { EventPolicy } from '@evenfall/contracts/log/v1/record';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { msOfDuration } from '@evenfall/time';

/** What a function that says nothing gets (semantics §3, §4). */
export const POLICY_DEFAULTS = { maxRetries: 2, retryIntervalMs: 60_000, maxEventAgeMs: 6 * 3_600_000, maxGracePeriodMs: 600_000 } as const;

/** The settings that decide the life of an event, as they are at its accept. */
export function eventPolicyOf(fn: FunctionMessage): EventPolicy {
  return {
    maxRetries: fn.eventInvoke?.maxRetries ?? POLICY_DEFAULTS.maxRetries,
    retryIntervalMs: msOfDuration(fn.eventInvoke?.retryInterval) ?? POLICY_DEFAULTS.retryIntervalMs,
    maxEventAgeMs: msOfDuration(fn.eventInvoke?.maxEventAge) ?? POLICY_DEFAULTS.maxEventAgeMs,
    maxGracePeriodMs: msOfDuration(fn.termination?.maxGracePeriod) ?? POLICY_DEFAULTS.maxGracePeriodMs,
  };
}
