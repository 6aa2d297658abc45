import {
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  TerminationChange_Effect as Effect,
} from '@evenfall/contracts/v1/termination';
import { durationOfMs, msOfDuration } from '@evenfall/time';
import { LIMITS } from '@evenfall/event-model';
import { attemptTimeoutMs } from '@evenfall/function-model';
import type { InstanceEnd } from '../domain/instance-end.ts';
import { forcedPolicy, planOf, policyMessage, type ResolvedPolicy, type TerminationPlan } from '../domain/termination-plan.ts';
import type { Agent } from './agent.ts';
import { startOf } from './attempt.ts';
import type { Attempt, HandedOverPhase, Instance, ReportingPhase, RunningPhase, StopRecord } from './types.ts';

/** A request for a stop. `request` is the same text for a repetition of the same request. */
export type StopRequest = { readonly cause: Cause; readonly mode: Mode; readonly policy: ResolvedPolicy; readonly request: string };

/** A forced stop, for the platform's own reasons. */
export function forcedStop(cause: Cause): StopRequest {
  return { cause, mode: Mode.FORCE, policy: forcedPolicy(), request: `${cause} forced` };
}

/**
 * Stops an attempt that runs, for any reason: the one entry point for all of them. Without a plan it is killed, and ends as `end` says.
 * A request that comes while it is being stopped may shorten that, never stretch it; the receipt notes the effect.
 */
export function beginStop(
  agent: Agent,
  instance: Instance,
  phase: RunningPhase,
  request: StopRequest,
  plan: TerminationPlan | undefined,
  end: InstanceEnd,
): void {
  const { life } = instance;
  const isRunning = life.kind === 'BUSY' || life.kind === 'TERMINATING' || life.kind === 'EXITING';
  if (!phase.stop) phase.stop = recordOf(agent, request, !isRunning);
  else if (phase.stop.request === request.request)
    return; // repeated after a reconnect
  else if (isRunning) noteChange(agent, phase.stop, request, effectOf(life.kind === 'TERMINATING' ? life.plan : undefined, plan));
  phase.stop.request = request.request;
  if (!isRunning) return;
  if (plan) agent.feed(instance, { kind: 'STOP_GRACEFUL', plan });
  else agent.feed(instance, { kind: 'KILL_ORDERED', end });
}

/** Notes a stop that was requested while the end of an attempt is being reported. */
export function noteLateStop(agent: Agent, phase: ReportingPhase, request: StopRequest): void {
  phase.stop ??= recordOf(agent, request, true);
}

/**
 * Withdraws an attempt whose runtime was given the event and has not reported that it received it. That is certain only once the instance is gone. What
 * its runtime reports until then still counts: if it had received the event, the attempt has begun, and this is how it was stopped.
 */
export function withdraw(agent: Agent, phase: HandedOverPhase, request: StopRequest): void {
  phase.withdrawal ??= recordOf(agent, request, false);
  agent.feed(phase.instance, { kind: 'KILL_ORDERED', end: { kind: 'RETIRED' } });
}

/** A stop of which nothing has been done. */
export function recordOf(agent: Agent, { cause, mode, policy, request }: StopRequest, isTooLate: boolean): StopRecord {
  return {
    cause,
    mode,
    policy,
    policyMessage: policyMessage(policy),
    steps: [],
    extensions: [],
    changes: [],
    request,
    requestTime: new Date(agent.clock.now()),
    requestMs: agent.clock.monotonic(),
    isTooLate,
  };
}

/** When the timeout of an attempt passes, by the agent's monotonic clock; as if it began at 0 where it has not begun. */
export function deadlineOf(instance: Instance, attempt: Attempt): number {
  return (startOf(attempt)?.ms ?? 0) + attemptTimeoutMs(instance.timeoutMs, attempt.synchronous);
}

/** When an attempt that has just begun is looked at: at its timeout, or when the signal before it is due. */
export function firstDueMs(instance: Instance, attempt: Attempt): number {
  const warning = instance.fn.terminationByCause?.timeout;
  return deadlineOf(instance, attempt) - (msOfDuration(warning?.gracePeriod) ?? 0);
}

function noteChange(agent: Agent, stop: StopRecord, { cause, mode, policy }: StopRequest, effect: Effect): void {
  if (cause === Cause.USER) stop.cause = Cause.USER;
  if (mode === Mode.FORCE) stop.mode = Mode.FORCE;
  if (stop.changes.length >= LIMITS.receiptEntries) return; // a caller could request stops for ever
  stop.changes.push({ time: new Date(agent.clock.now()), cause, mode, gracePeriod: durationOfMs(policy.graceMs), effect });
}

function effectOf(before: TerminationPlan | undefined, requested: TerminationPlan | undefined): Effect {
  if (!requested) return Effect.FORCED;
  if (!before) return Effect.SHORTENED;
  const graceEndOf = ({ steps, killAtMs }: TerminationPlan, at: number): number => steps[at]?.atMs ?? killAtMs;
  return requested.killAtMs < before.killAtMs || graceEndOf(requested, 1) < graceEndOf(before, 0) ? Effect.SHORTENED : Effect.KEPT;
}

/** A plan for a policy from now on. */
export function planFromNow(agent: Agent, policy: ResolvedPolicy, end: InstanceEnd): TerminationPlan {
  return planOf(policy, agent.clock.monotonic(), end);
}
