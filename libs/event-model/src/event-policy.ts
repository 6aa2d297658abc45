import type { EventPolicy } from '@evenfall/contracts/log/v1/record';
import type { Destination, FunctionMessage } from '@evenfall/contracts/v1/function';
import { msOfDuration } from '@evenfall/time';

/** What a function that says nothing gets (semantics §3, §4). */
const DEFAULTS = { maxRetries: 2, retryIntervalMs: 60_000, maxEventAgeMs: 6 * 3_600_000, maxGracePeriodMs: 600_000 } as const;

/** The settings that decide the life of an event, as they are at its accept. */
export function eventPolicyOf(fn: FunctionMessage): EventPolicy {
  const { eventInvoke } = fn;
  return {
    maxRetries: eventInvoke?.maxRetries ?? DEFAULTS.maxRetries,
    retryIntervalMs: msOfDuration(eventInvoke?.retryInterval) ?? DEFAULTS.retryIntervalMs,
    maxEventAgeMs: msOfDuration(eventInvoke?.maxEventAge) ?? DEFAULTS.maxEventAgeMs,
    maxGracePeriodMs: msOfDuration(fn.termination?.maxGracePeriod) ?? DEFAULTS.maxGracePeriodMs,
    onSuccess: named(eventInvoke?.onSuccess, fn.namespace),
    onFailure: named(eventInvoke?.onFailure, fn.namespace),
  };
}

/** A destination that needs nobody to complete it. */
function named(destination: Destination | undefined, ownNamespace: string): Destination | undefined {
  if (destination?.target?.$case !== 'function') return destination;
  const { namespace, name, qualifier } = destination.target.value;
  return { target: { $case: 'function', value: { namespace: namespace || ownNamespace, name, qualifier: qualifier || '$LATEST' } } };
}
