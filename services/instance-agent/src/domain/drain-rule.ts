import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import { KillSignal, SignalScope } from '@evenfall/contracts/v1/termination';
import { DURATIONS } from '@evenfall/function-model';
import type { InstanceEnd } from './instance-end.ts';
import { endBy, planOf, type ResolvedPolicy, resolvePolicy, type TerminationPlan } from './termination-plan.ts';

/** A function is long-lived, and has time left that is worth a notice, above this; and this is what it gets (Yandex Cloud Functions). */
export const NOTICE_MS = 600_000;

const DRAINED: InstanceEnd = { kind: 'DRAINED' };
const TIMED_OUT: InstanceEnd = { kind: 'TIMED_OUT' };

/** How an attempt that runs is stopped because its host drains. */
export type DrainStop = { readonly policy: ResolvedPolicy; readonly plan: TerminationPlan };

/**
 * Decides what a drain does to an attempt: by the function's own policy if it has one; else a long-lived one with more than ten minutes
 * left gets notice and ten minutes; undefined for any other, which may finish. Neither the timeout nor the host's deadline is exceeded.
 */
export function drainStop(
  fn: Pick<FunctionMessage, 'terminationByCause' | 'environment'>,
  times: { readonly nowMs: number; readonly timeLimitMs: number; readonly timeoutAtMs: number; readonly hostDeadlineMs: number },
): DrainStop | undefined {
  const { nowMs, timeLimitMs, timeoutAtMs, hostDeadlineMs } = times;
  const own = fn.terminationByCause?.drain;
  const leftMs = timeoutAtMs - nowMs;
  if (!own && !(timeLimitMs > NOTICE_MS && leftMs > NOTICE_MS)) return undefined;
  const policy = own ? resolvePolicy(undefined, own, Math.max(0, leftMs)) : noticePolicy(fn.environment);
  const laidOut = planOf(policy, nowMs, DRAINED);
  const plan = !own && !isNotified(fn.environment) ? { ...laidOut, steps: [] } : laidOut;
  return { policy, plan: endBy(endBy(plan, timeoutAtMs, TIMED_OUT, 'TIMEOUT'), hostDeadlineMs, DRAINED, 'DRAIN') };
}

function noticePolicy(environment: FunctionMessage['environment']): ResolvedPolicy {
  const interrupts = environment['X_YCF_GRACEFUL_SHUTDOWN_SIGNAL_SIGINT'] === '1';
  return {
    killSignal: interrupts ? KillSignal.SIGINT : KillSignal.SIGTERM,
    graceMs: NOTICE_MS,
    maxGraceMs: NOTICE_MS,
    escalation: [],
    scope: SignalScope.MAIN,
    exitMs: DURATIONS.exitGrace.defaultMs,
  };
}

function isNotified(environment: FunctionMessage['environment']): boolean {
  return environment['X_YCF_NO_GRACEFUL_SHUTDOWN_SIGNAL'] !== '1';
}
