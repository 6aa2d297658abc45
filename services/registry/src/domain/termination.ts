import { KillSignal, SignalScope, type TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { formatDuration, msOfDuration } from '@evenfall/time';
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
export function completePolicy(given: TerminationPolicy | undefined): TerminationPolicy {
  const maxGracePeriod = boundedDuration('termination.max_grace_period', given?.maxGracePeriod, 0, MAX_GRACE_MS, DEFAULT_MAX_GRACE_MS);
  const gracePeriod = optionalDuration('termination.grace_period', given?.gracePeriod, 0, MAX_GRACE_MS);
  if (gracePeriod && msOfDuration(gracePeriod) > msOfDuration(maxGracePeriod)) {
    throw invalid('termination.grace_period', `not longer than max_grace_period, which is ${formatDuration(msOfDuration(maxGracePeriod))}`);
  }
  const escalation = given?.escalation ?? [];
  if (escalation.length > MAX_STEPS) throw invalid('termination.escalation', `at most ${MAX_STEPS} steps`);
  return {
    killSignal:
      given && given.killSignal !== KillSignal.UNSPECIFIED ? signalOf('termination.kill_signal', given.killSignal) : KillSignal.SIGTERM,
    gracePeriod,
    maxGracePeriod,
    escalation: escalation.map((step, index) => {
      const field = `termination.escalation[${index}]`;
      const wait = optionalDuration(`${field}.wait`, step.wait, 0, MAX_WAIT_MS);
      if (!wait) throw invalid(`${field}.wait`, 'a step says how long to wait after it');
      return { signal: signalOf(`${field}.signal`, step.signal), wait };
    }),
    signalScope: scopeOf(given?.signalScope ?? SignalScope.UNSPECIFIED),
  };
}

function signalOf(field: string, signal: KillSignal): KillSignal {
  if (SIGNALS.some((name) => KillSignal[name] === signal)) return signal;
  throw invalid(field, `one of ${SIGNALS.join(', ')}; SIGKILL is the last step by itself`);
}

function scopeOf(scope: SignalScope): SignalScope {
  if (scope === SignalScope.UNSPECIFIED) return SignalScope.MAIN;
  if (scope === SignalScope.MAIN || scope === SignalScope.GROUP) return scope;
  throw invalid('termination.signal_scope', 'MAIN or GROUP');
}
