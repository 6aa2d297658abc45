import {
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  TerminationChange_Effect as Effect,
} from '@evenfall/contracts/v1/termination';
import { durationOfMs, msOfDuration } from '@evenfall/time';
import type { Ending } from '../domain/instance-end.ts';
import { forcedPolicy, planOf, policyMessage, type ResolvedPolicy, type TerminationPlan } from '../domain/termination-plan.ts';
import { timeLimitMs } from '../domain/time-limit.ts';
import type { Agent, Attempt, Instance, StopRecord } from './agent.ts';

/** A hostile function could ask for more time, a caller for a stop, for ever. */
export const MAX_NOTES = 100;

/** What is asked for. `request` is the same text for the same request said again. */
export type StopAsked = { readonly cause: Cause; readonly mode: Mode; readonly policy: ResolvedPolicy; readonly request: string };

/** A forced stop, for the platform's own reasons. */
export function forcedStop(cause: Cause): StopAsked {
  return { cause, mode: Mode.FORCE, policy: forcedPolicy(), request: `${cause} forced` };
}

/**
 * Stops an attempt that runs, for whichever reason: the one way in for all of them. Without a plan it is killed, and ends as `ending` says.
 * What is asked for while it is being stopped may shorten that, never stretch it; the receipt notes what came of it.
 */
export function beginStop(
  agent: Agent,
  instance: Instance,
  attempt: Attempt,
  asked: StopAsked,
  plan: TerminationPlan | undefined,
  ending: Ending,
): void {
  const { life } = instance;
  const running = life.kind === 'BUSY' || life.kind === 'TERMINATING' || life.kind === 'EXITING';
  if (!attempt.stop) attempt.stop = recordOf(agent, asked, !running);
  else if (attempt.stop.request === asked.request)
    return; // said again after a reconnect
  else if (running) noteChange(agent, attempt.stop, asked, effectOf(life.kind === 'TERMINATING' ? life.plan : undefined, plan));
  attempt.stop.request = asked.request;
  if (!running) return;
  if (plan) agent.feed(instance, { kind: 'STOP_GRACEFUL', plan });
  else agent.feed(instance, { kind: 'KILL_ORDERED', ending });
}

/**
 * Takes an attempt back whose runtime was given it and has not said that it took it: certain only once the instance is gone. What it says until then still
 * counts: if it had taken it, the attempt has begun, and this is how it was stopped.
 */
export function withdraw(agent: Agent, instance: Instance, attempt: Attempt, asked: StopAsked): void {
  attempt.withdrawn ??= recordOf(agent, asked, false);
  agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'RETIRED' } });
}

/** What was done to stop an attempt: nothing so far. */
export function recordOf(agent: Agent, { cause, mode, policy, request }: StopAsked, tooLate: boolean): StopRecord {
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
    askedMs: agent.clock.monotonic(),
    tooLate,
  };
}

/** When the timeout of an attempt passes, by the agent's monotonic clock. */
export function deadlineOf(instance: Instance, attempt: Attempt): number {
  return attempt.startMs + timeLimitMs(instance.timeoutMs, attempt.synchronous);
}

/** When something has to happen to an attempt that has just begun: its timeout, or the signal before it. */
export function firstDueMs(instance: Instance, attempt: Attempt): number {
  const warning = instance.fn.terminationByCause?.timeout;
  return deadlineOf(instance, attempt) - (msOfDuration(warning?.gracePeriod) ?? 0);
}

function noteChange(agent: Agent, stop: StopRecord, { cause, mode, policy }: StopAsked, effect: Effect): void {
  if (cause === Cause.USER) stop.cause = Cause.USER;
  if (mode === Mode.FORCE) stop.mode = Mode.FORCE;
  if (stop.changes.length >= MAX_NOTES) return;
  stop.changes.push({ time: new Date(agent.clock.now()), cause, mode, gracePeriod: durationOfMs(policy.graceMs), effect });
}

function effectOf(before: TerminationPlan | undefined, asked: TerminationPlan | undefined): Effect {
  if (!asked) return Effect.FORCED;
  if (!before) return Effect.SHORTENED;
  const graceEndOf = ({ steps, killAtMs }: TerminationPlan, at: number): number => steps[at]?.atMs ?? killAtMs;
  return asked.killAtMs < before.killAtMs || graceEndOf(asked, 1) < graceEndOf(before, 0) ? Effect.SHORTENED : Effect.KEPT;
}

/** A plan for a policy from now on. */
export function planFromNow(agent: Agent, policy: ResolvedPolicy, ending: Ending): TerminationPlan {
  return planOf(policy, agent.clock.monotonic(), ending);
}
