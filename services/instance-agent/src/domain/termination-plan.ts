import { KillSignal, SignalScope, type TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { DURATIONS, msOr } from '@evenfall/function-model';
import { durationOfMs, msOfDuration } from '@evenfall/time';
import type { InstanceEnd } from './instance-end.ts';

/** A policy with nothing left out. */
export type ResolvedPolicy = {
  readonly killSignal: KillSignal;
  readonly graceMs: number;
  readonly maxGraceMs: number;
  readonly escalation: readonly { readonly signal: KillSignal; readonly waitMs: number }[];
  readonly scope: SignalScope;
  /** How long the processes have to exit by themselves once the handler has answered; never beyond the end of the plan. */
  readonly exitMs: number;
};

/** What will be sent when, by the agent's monotonic clock; then SIGKILL. */
export type TerminationPlan = {
  readonly nowMs: number;
  readonly steps: readonly { readonly signal: KillSignal; readonly atMs: number }[];
  readonly killAtMs: number;
  /** What it ends as if it has to be killed. */
  readonly end: InstanceEnd;
  readonly scope: SignalScope;
  readonly exitMs: number;
  /** The next step may not be put off beyond this, and why. */
  readonly limitMs: number;
  readonly limit: keyof typeof LIMITS;
};

/** Why a function gets no more time, as text for it. */
const LIMITS = {
  MAX_GRACE: 'The longest grace period of the function is used up',
  SHORTENED: 'A later request asked for it to end sooner',
  TIMEOUT: 'The timeout of the function is not put off',
  DRAIN: 'The host does not wait any longer',
} as const;

/**
 * Resolves the policy of one call: the call's fields over the function's over the defaults. A call may shorten the function's grace period, or
 * stretch it up to its maximum. Without any: what is left of the timeout, at most the maximum.
 */
export function resolvePolicy(
  call: TerminationPolicy | undefined,
  own: TerminationPolicy | undefined,
  timeoutLeftMs: number,
): ResolvedPolicy {
  const maxGraceMs = msOr(own?.maxGracePeriod, DURATIONS.maxGracePeriod);
  const asked = msOfDuration(call?.gracePeriod) ?? msOfDuration(own?.gracePeriod) ?? timeoutLeftMs;
  const escalation = call && call.escalation.length > 0 ? call.escalation : (own?.escalation ?? []);
  return {
    killSignal: call?.killSignal || own?.killSignal || KillSignal.SIGTERM,
    graceMs: Math.max(0, Math.min(asked, maxGraceMs)),
    maxGraceMs,
    escalation: escalation.map((step) => ({ signal: step.signal, waitMs: msOfDuration(step.wait) ?? 0 })),
    scope: call?.signalScope || own?.signalScope || SignalScope.MAIN,
    exitMs: exitMsOf(call, own),
  };
}

function exitMsOf(call: TerminationPolicy | undefined, own: TerminationPolicy | undefined): number {
  if (call?.exitAfterAnswer ?? (call?.exitGrace ? false : own?.exitAfterAnswer)) return 0;
  return msOfDuration(call?.exitGrace) ?? msOfDuration(own?.exitGrace) ?? DURATIONS.exitGrace.defaultMs;
}

const KILLED: InstanceEnd = { kind: 'FORCE_KILLED' };

/** Lays a policy out in time. A grace period of 0 kills at once: nothing is sent before. */
export function planOf(policy: ResolvedPolicy, nowMs: number, end: InstanceEnd = KILLED): TerminationPlan {
  const { scope, exitMs } = policy;
  const bounds = { nowMs, end, scope, exitMs, limitMs: nowMs + policy.maxGraceMs, limit: 'MAX_GRACE' } as const;
  if (policy.graceMs === 0) return { ...bounds, steps: [], killAtMs: nowMs };
  const steps = [{ signal: policy.killSignal, atMs: nowMs }];
  let atMs = nowMs + policy.graceMs;
  for (const { signal, waitMs } of policy.escalation) {
    steps.push({ signal, atMs });
    atMs += waitMs;
  }
  return { ...bounds, steps, killAtMs: atMs };
}

/** A plan that is over by a time, whatever it had before; `end` is what it ends as there. */
export function endBy(plan: TerminationPlan, byMs: number, end: InstanceEnd, limit: TerminationPlan['limit']): TerminationPlan {
  const bounded = byMs < plan.limitMs ? { ...plan, limitMs: byMs, limit } : plan;
  return byMs < plan.killAtMs ? { ...bounded, killAtMs: byMs, end } : bounded;
}

/**
 * Brings a plan forward by a second request, never back: what is next comes when the grace period of the request is over, if that is
 * sooner, and what follows it at its own distance. The signals stay those that were planned first. It cannot be extended any more.
 */
export function shortenPlan(planned: TerminationPlan, asked: TerminationPlan): TerminationPlan {
  const graceEndMs = asked.steps[1]?.atMs ?? asked.killAtMs;
  const nextMs = planned.steps[0]?.atMs ?? planned.killAtMs;
  const sooner = moved(planned, Math.min(0, graceEndMs - nextMs));
  const killAtMs = Math.min(sooner.killAtMs, asked.killAtMs);
  // A caller's request decides what it ends as; else the plan that kills first does.
  const byUser = planned.end.kind === 'FORCE_KILLED' ? planned.end : asked.end.kind === 'FORCE_KILLED' ? asked.end : undefined;
  const end = byUser ?? (asked.killAtMs < sooner.killAtMs ? asked.end : planned.end);
  const isSooner = killAtMs < planned.killAtMs || graceEndMs < nextMs;
  return {
    ...sooner,
    killAtMs,
    end,
    ...(isSooner ? { limitMs: Math.min(graceEndMs, planned.limitMs), limit: 'SHORTENED' as const } : {}),
  };
}

/** Puts off the next step, and all that follow, by as much of the requested time as the limit allows. */
export function extendPlan(
  plan: TerminationPlan,
  nowMs: number,
  ms: number,
): { readonly plan: TerminationPlan; readonly grantedMs: number; readonly reason: string } {
  const dueMs = plan.steps[0]?.atMs ?? plan.killAtMs;
  const grantedMs = nowMs >= plan.killAtMs ? 0 : Math.max(0, Math.min(ms, plan.limitMs - dueMs));
  return { plan: moved(plan, grantedMs), grantedMs, reason: grantedMs < ms ? LIMITS[plan.limit] : '' };
}

function moved(plan: TerminationPlan, byMs: number): TerminationPlan {
  if (byMs === 0) return plan;
  const steps = plan.steps.map(({ signal, atMs }) => ({ signal, atMs: atMs + byMs }));
  return { ...plan, steps, killAtMs: plan.killAtMs + byMs };
}

/** The policy as the receipt shows it. */
export function policyMessage(policy: ResolvedPolicy): TerminationPolicy {
  return {
    killSignal: policy.killSignal,
    gracePeriod: durationOfMs(policy.graceMs),
    maxGracePeriod: durationOfMs(policy.maxGraceMs),
    escalation: policy.escalation.map((step) => ({ signal: step.signal, wait: durationOfMs(step.waitMs) })),
    signalScope: policy.scope,
    exitGrace: durationOfMs(policy.exitMs),
    exitAfterAnswer: policy.exitMs === 0,
  };
}

/** A forced stop as a policy: SIGKILL, no grace, the whole group. */
export function forcedPolicy(): ResolvedPolicy {
  return { killSignal: KillSignal.SIGKILL, graceMs: 0, maxGraceMs: 0, escalation: [], scope: SignalScope.GROUP, exitMs: 0 };
}

/** What an instance that runs nothing gets: SIGTERM and 50 ms (SCF: unconditional, not configurable). */
export const LEAVE_POLICY: ResolvedPolicy = {
  killSignal: KillSignal.SIGTERM,
  graceMs: 50,
  maxGraceMs: 50,
  escalation: [],
  scope: SignalScope.MAIN,
  exitMs: 0,
};
