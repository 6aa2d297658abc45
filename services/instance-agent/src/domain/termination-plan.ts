import { KillSignal, SignalScope, type TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { durationOfMs, msOfDuration } from '@evenfall/time';

/** A policy with nothing left out. */
export type ResolvedPolicy = {
  readonly killSignal: KillSignal;
  readonly graceMs: number;
  readonly maxGraceMs: number;
  readonly escalation: readonly { readonly signal: KillSignal; readonly waitMs: number }[];
  readonly scope: SignalScope;
};

/** What will be sent when, by the agent's monotonic clock; then SIGKILL. */
export type TerminationPlan = {
  readonly nowMs: number;
  readonly steps: readonly { readonly signal: KillSignal; readonly atMs: number }[];
  readonly killAtMs: number;
};

const DEFAULT_MAX_GRACE_MS = 600_000;

/**
 * Resolves the policy of one call: the call's fields over the function's over the defaults. A call may shorten the function's grace period, or
 * stretch it up to its maximum. Without any: what is left of the timeout, at most the maximum.
 */
export function resolvePolicy(
  call: TerminationPolicy | undefined,
  own: TerminationPolicy | undefined,
  timeoutLeftMs: number,
): ResolvedPolicy {
  const maxGraceMs = msOfDuration(own?.maxGracePeriod) ?? DEFAULT_MAX_GRACE_MS;
  const asked = msOfDuration(call?.gracePeriod) ?? msOfDuration(own?.gracePeriod) ?? timeoutLeftMs;
  const escalation = call && call.escalation.length > 0 ? call.escalation : (own?.escalation ?? []);
  return {
    killSignal: call?.killSignal || own?.killSignal || KillSignal.SIGTERM,
    graceMs: Math.max(0, Math.min(asked, maxGraceMs)),
    maxGraceMs,
    escalation: escalation.map((step) => ({ signal: step.signal, waitMs: msOfDuration(step.wait) ?? 0 })),
    scope: call?.signalScope || own?.signalScope || SignalScope.MAIN,
  };
}

/** Lays a policy out in time. A grace period of 0 kills at once: nothing is sent before. */
export function planOf(policy: ResolvedPolicy, nowMs: number): TerminationPlan {
  if (policy.graceMs === 0) return { nowMs, steps: [], killAtMs: nowMs };
  const steps = [{ signal: policy.killSignal, atMs: nowMs }];
  let atMs = nowMs + policy.graceMs;
  for (const { signal, waitMs } of policy.escalation) {
    steps.push({ signal, atMs });
    atMs += waitMs;
  }
  return { nowMs, steps, killAtMs: atMs };
}

/** The policy as the receipt shows it. */
export function policyMessage(policy: ResolvedPolicy): TerminationPolicy {
  return {
    killSignal: policy.killSignal,
    gracePeriod: durationOfMs(policy.graceMs),
    maxGracePeriod: durationOfMs(policy.maxGraceMs),
    escalation: policy.escalation.map((step) => ({ signal: step.signal, wait: durationOfMs(step.waitMs) })),
    signalScope: policy.scope,
  };
}

/** A forced stop as a policy: SIGKILL, no grace, the whole group. */
export function forcedPolicy(): ResolvedPolicy {
  return { killSignal: KillSignal.SIGKILL, graceMs: 0, maxGraceMs: 0, escalation: [], scope: SignalScope.GROUP };
}
