import { KillSignal, SignalScope, type TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { refuse } from '@evenfall/errors';
import { boundedMs, checkEnum } from './fields.ts';

const MAX_GRACE_MS = 24 * 3_600_000;
const MAX_STEPS = 8;
const MAX_WAIT_MS = 600_000;

/** Checks what a call asks for of a termination; what only the function can judge (its longest grace period) is left to the queue. */
export function checkCallPolicy(graceful: boolean, policy: TerminationPolicy | undefined): void {
  if (!policy) return;
  if (!graceful) throw refuse('INVALID_FIELD', { field: 'policy', rule: 'a signal, a grace period or steps need graceful to be true' });
  checkSignal('kill_signal', policy.killSignal, true);
  boundedMs('grace_period', policy.gracePeriod, 0, MAX_GRACE_MS);
  if (policy.maxGracePeriod) throw refuse('INVALID_FIELD', { field: 'max_grace_period', rule: 'only a function may set it' });
  boundedMs('exit_grace', policy.exitGrace, 0, MAX_GRACE_MS);
  checkEnum('signal_scope', policy.signalScope, SignalScope);
  if (policy.escalation.length > MAX_STEPS) throw refuse('INVALID_FIELD', { field: 'escalation', rule: `at most ${MAX_STEPS} steps` });
  policy.escalation.forEach((step, index) => {
    checkSignal(`escalation[${index}].signal`, step.signal, false);
    if (!step.wait) throw refuse('INVALID_FIELD', { field: `escalation[${index}].wait`, rule: 'a step says how long to wait after it' });
    boundedMs(`escalation[${index}].wait`, step.wait, 0, MAX_WAIT_MS);
  });
}

function checkSignal(field: string, signal: KillSignal, mayBeLeftOut: boolean): void {
  if (mayBeLeftOut && signal === KillSignal.UNSPECIFIED) return;
  const named = Object.entries(KillSignal).some(([name, value]) => value === signal && name !== 'UNRECOGNIZED');
  if (!named || signal === KillSignal.SIGKILL || signal === KillSignal.UNSPECIFIED) {
    throw refuse('INVALID_FIELD', {
      field,
      rule: 'one of SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGTERM; SIGKILL is the last step by itself',
    });
  }
}
