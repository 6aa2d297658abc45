import { KillSignal, SignalScope, type TerminationByCause, type TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { durationOfMs, formatDuration, msOfDuration } from '@evenfall/time';
import { boundedDuration, invalid, optionalDuration } from './fields.ts';

const MAX_GRACE_MS = 24 * 3_600_000;
const DEFAULT_MAX_GRACE_MS = 600_000;
const MAX_STEPS = 8;
const MAX_WAIT_MS = 600_000;
const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Completes a function's policy. Only the grace period may stay open: its default is what is left of the function's timeout, and that is
 * known when somebody asks (semantics §4).
 */
export function completePolicy(given: TerminationPolicy | undefined, field = 'termination'): TerminationPolicy {
  const maxGracePeriod = boundedDuration(`${field}.max_grace_period`, given?.maxGracePeriod, 0, MAX_GRACE_MS, DEFAULT_MAX_GRACE_MS);
  const gracePeriod = optionalDuration(`${field}.grace_period`, given?.gracePeriod, 0, MAX_GRACE_MS);
  if (gracePeriod && msOfDuration(gracePeriod) > msOfDuration(maxGracePeriod)) {
    throw invalid(`${field}.grace_period`, `not longer than max_grace_period, which is ${formatDuration(msOfDuration(maxGracePeriod))}`);
  }
  const escalation = given?.escalation ?? [];
  if (escalation.length > MAX_STEPS) throw invalid(`${field}.escalation`, `at most ${MAX_STEPS} steps`);
  return {
    killSignal:
      given && given.killSignal !== KillSignal.UNSPECIFIED ? signalOf(`${field}.kill_signal`, given.killSignal) : KillSignal.SIGTERM,
    gracePeriod,
    maxGracePeriod,
    escalation: escalation.map((step, index) => {
      const at = `${field}.escalation[${index}]`;
      const wait = optionalDuration(`${at}.wait`, step.wait, 0, MAX_WAIT_MS);
      if (!wait) throw invalid(`${at}.wait`, 'a step says how long to wait after it');
      return { signal: signalOf(`${at}.signal`, step.signal), wait };
    }),
    signalScope: scopeOf(given?.signalScope ?? SignalScope.UNSPECIFIED, field),
    exitGrace: optionalDuration(`${field}.exit_grace`, given?.exitGrace, 0, MAX_GRACE_MS),
    exitAfterAnswer: given?.exitAfterAnswer,
  };
}

/** Completes the policies for stops that nobody asks for; what is left out stays at its default, which is no policy. */
export function completeByCause(given: TerminationByCause | undefined, timeoutMs: number): TerminationByCause | undefined {
  if (!given || (!given.timeout && !given.drain && !given.update)) return undefined;
  const own = (name: 'timeout' | 'drain' | 'update'): TerminationPolicy | undefined => {
    const policy = given[name];
    if (!policy) return undefined;
    // A longest grace period that is left out does not stand in the way of the one that is wanted.
    const wide = policy.maxGracePeriod ? policy : { ...policy, maxGracePeriod: durationOfMs(ownMaxGraceMs(policy)) };
    return completePolicy(wide, `${FIELD}.${name}`);
  };
  const timeout = own('timeout');
  if (timeout) {
    const graceMs = msOfDuration(timeout.gracePeriod) ?? 0;
    if (graceMs <= 0 || graceMs >= timeoutMs) throw invalid(`${FIELD}.timeout.grace_period`, 'longer than 0 and shorter than the timeout');
    if (timeout.escalation.length > 0) throw invalid(`${FIELD}.timeout.escalation`, 'none: SIGKILL comes with the timeout');
  }
  return { timeout, drain: own('drain'), update: own('update') };
}

const FIELD = 'termination_by_cause';

/** The longest grace period of a policy that names none. */
function ownMaxGraceMs({ gracePeriod }: TerminationPolicy): number {
  return Math.max(DEFAULT_MAX_GRACE_MS, msOfDuration(gracePeriod) ?? 0);
}

/** Policies with their longest grace period open where it follows from the grace period, so that it follows from a new one too. */
export function withoutOwnDefaults(policies: TerminationByCause | undefined): TerminationByCause | undefined {
  const open = (policy: TerminationPolicy | undefined): TerminationPolicy | undefined =>
    policy && msOfDuration(policy.maxGracePeriod) === ownMaxGraceMs(policy) ? { ...policy, maxGracePeriod: undefined } : policy;
  return policies && { timeout: open(policies.timeout), drain: open(policies.drain), update: open(policies.update) };
}

function signalOf(field: string, signal: KillSignal): KillSignal {
  if (SIGNALS.some((name) => KillSignal[name] === signal)) return signal;
  throw invalid(field, `one of ${SIGNALS.join(', ')}; SIGKILL is the last step by itself`);
}

function scopeOf(scope: SignalScope, field: string): SignalScope {
  if (scope === SignalScope.UNSPECIFIED) return SignalScope.MAIN;
  if (scope === SignalScope.MAIN || scope === SignalScope.GROUP) return scope;
  throw invalid(`${field}.signal_scope`, 'MAIN or GROUP');
}
