import type { EventPolicy } from '@evenfall/contracts/log/v1/record';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { completeDestination } from './destinations.ts';
import { DURATIONS, msOr } from './durations.ts';
import { RETRIES } from './limits.ts';

/** The settings that decide the life of an event, as they are when it is accepted. */
export function eventPolicyOf(fn: FunctionMessage): EventPolicy {
  const { eventInvoke } = fn;
  return {
    maxRetries: eventInvoke?.maxRetries ?? RETRIES.default,
    retryIntervalMs: msOr(eventInvoke?.retryInterval, DURATIONS.retryInterval),
    maxEventAgeMs: msOr(eventInvoke?.maxEventAge, DURATIONS.maxEventAge),
    maxGracePeriodMs: msOr(fn.termination?.maxGracePeriod, DURATIONS.maxGracePeriod),
    onSuccess: completeDestination(eventInvoke?.onSuccess, fn.namespace),
    onFailure: completeDestination(eventInvoke?.onFailure, fn.namespace),
  };
}
