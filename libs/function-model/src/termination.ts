import { KillSignal, SignalScope, type TerminationByCause, type TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { invalidField, type Refusal } from '@evenfall/errors';
import { durationOfMs, formatDuration, msOfDuration } from '@evenfall/time';
import { durationOr, durationRefusal, DURATIONS, msOr } from './durations.ts';
import { firstRefusal } from './first-refusal.ts';
import { MOST_ESCALATION_STEPS } from './limits.ts';

/** Signals that a policy may name. */
export const KILL_SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;
const SIGNAL_RULE = `one of ${KILL_SIGNALS.join(', ')}; SIGKILL is the last step by itself`;
const SCOPES: readonly SignalScope[] = [SignalScope.UNSPECIFIED, SignalScope.MAIN, SignalScope.GROUP];
const CAUSES = ['timeout', 'drain', 'update'] as const;
const BY_CAUSE = 'termination_by_cause';

/** Why a policy is not one that a function can have: INVALID_FIELD; undefined if it is, or if there is none. */
export function policyRefusal(field: string, given: TerminationPolicy | undefined): Refusal | undefined {
  if (!given) return undefined;
  const graceMs = msOfDuration(given.gracePeriod) ?? 0;
  const mostMs = msOr(given.maxGracePeriod, DURATIONS.maxGracePeriod);
  return (
    durationRefusal(`${field}.max_grace_period`, given.maxGracePeriod, DURATIONS.maxGracePeriod) ??
    durationRefusal(`${field}.grace_period`, given.gracePeriod, DURATIONS.gracePeriod) ??
    (graceMs > mostMs
      ? invalidField(`${field}.grace_period`, `not longer than max_grace_period, which is ${formatDuration(mostMs)}`)
      : undefined) ??
    partsRefusal(`${field}.`, given)
  );
}

/**
 * Why a policy is not one that a request to terminate can have: INVALID_FIELD. What only the function decides, its longest grace period, is left
 * to the queue, which knows the function's policy.
 */
export function callPolicyRefusal(isGraceful: boolean, policy: TerminationPolicy | undefined): Refusal | undefined {
  if (!policy) return undefined;
  if (!isGraceful) return invalidField('policy', 'a signal, a grace period or steps need graceful to be true');
  if (policy.maxGracePeriod) return invalidField('max_grace_period', 'only a function may set it');
  return durationRefusal('grace_period', policy.gracePeriod, DURATIONS.gracePeriod) ?? partsRefusal('', policy);
}

/** Why policies for stops without a request cannot be: INVALID_FIELD. `timeoutMs` is the timeout of the function. */
export function byCauseRefusal(given: TerminationByCause | undefined, timeoutMs: number): Refusal | undefined {
  if (!given) return undefined;
  const { timeout } = given;
  const policies = firstRefusal(CAUSES, (cause) => policyRefusal(`${BY_CAUSE}.${cause}`, given[cause] && widened(given[cause])));
  if (policies || !timeout) return policies;
  const graceMs = msOfDuration(timeout.gracePeriod) ?? 0;
  if (graceMs <= 0 || graceMs >= timeoutMs)
    return invalidField(`${BY_CAUSE}.timeout.grace_period`, 'longer than 0 and shorter than the timeout');
  return timeout.escalation.length > 0 ? invalidField(`${BY_CAUSE}.timeout.escalation`, 'none: SIGKILL comes with the timeout') : undefined;
}

/**
 * Completes a policy that has been checked. Only the grace period may stay open: its default is what is left of the function's timeout, which is
 * known when a termination is requested.
 */
export function completePolicy(given: TerminationPolicy | undefined): TerminationPolicy {
  return {
    killSignal: given?.killSignal || KillSignal.SIGTERM,
    gracePeriod: given?.gracePeriod,
    maxGracePeriod: durationOr(given?.maxGracePeriod, DURATIONS.maxGracePeriod),
    escalation: given?.escalation.map(({ signal, wait }) => ({ signal, wait })) ?? [],
    signalScope: given?.signalScope || SignalScope.MAIN,
    exitGrace: given?.exitGrace,
    exitAfterAnswer: given?.exitAfterAnswer,
  };
}

/** Completes the policies for stops without a request, which have been checked; what is left out stays out. */
export function completeByCause(given: TerminationByCause | undefined): TerminationByCause | undefined {
  if (!given || CAUSES.every((cause) => !given[cause])) return undefined;
  const completed = (policy: TerminationPolicy | undefined): TerminationPolicy | undefined => policy && completePolicy(widened(policy));
  return { timeout: completed(given.timeout), drain: completed(given.drain), update: completed(given.update) };
}

/** Policies with their longest grace period open where it follows from the grace period, so that it follows from a new one too. */
export function withoutOwnDefaults(policies: TerminationByCause | undefined): TerminationByCause | undefined {
  const open = (policy: TerminationPolicy | undefined): TerminationPolicy | undefined =>
    policy && msOfDuration(policy.maxGracePeriod) === ownMaxGraceMs(policy) ? { ...policy, maxGracePeriod: undefined } : policy;
  return policies && { timeout: open(policies.timeout), drain: open(policies.drain), update: open(policies.update) };
}

/** A longest grace period that is left out does not limit the grace period that is given. */
function widened(policy: TerminationPolicy): TerminationPolicy {
  return policy.maxGracePeriod ? policy : { ...policy, maxGracePeriod: durationOfMs(ownMaxGraceMs(policy)) };
}

function ownMaxGraceMs({ gracePeriod }: TerminationPolicy): number {
  const { defaultMs, mostMs } = DURATIONS.maxGracePeriod;
  return Math.max(defaultMs, Math.min(msOfDuration(gracePeriod) ?? 0, mostMs));
}

/** What the policy of a function and that of a request have in common. */
function partsRefusal(prefix: string, { killSignal, escalation, signalScope, exitGrace }: TerminationPolicy): Refusal | undefined {
  if (escalation.length > MOST_ESCALATION_STEPS) return invalidField(`${prefix}escalation`, `at most ${MOST_ESCALATION_STEPS} steps`);
  return (
    (killSignal === KillSignal.UNSPECIFIED ? undefined : signalRefusal(`${prefix}kill_signal`, killSignal)) ??
    firstRefusal(escalation, ({ signal, wait }, index) => {
      const at = `${prefix}escalation[${index}]`;
      if (!wait) return invalidField(`${at}.wait`, 'a step says how long to wait after it');
      return durationRefusal(`${at}.wait`, wait, DURATIONS.escalationWait) ?? signalRefusal(`${at}.signal`, signal);
    }) ??
    (SCOPES.includes(signalScope) ? undefined : invalidField(`${prefix}signal_scope`, 'MAIN or GROUP')) ??
    durationRefusal(`${prefix}exit_grace`, exitGrace, DURATIONS.exitGrace)
  );
}

function signalRefusal(field: string, signal: KillSignal): Refusal | undefined {
  return KILL_SIGNALS.some((name) => KillSignal[name] === signal) ? undefined : invalidField(field, SIGNAL_RULE);
}
