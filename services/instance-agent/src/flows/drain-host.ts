import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { attemptTimeoutMs } from '@evenfall/function-model';
import { drainStop } from '../domain/drain-rule.ts';
import type { Agent } from './agent.ts';
import { beginStop, deadlineOf, forcedStop, withdraw } from './begin-stop.ts';
import { returnAttempt } from './end-attempt.ts';
import { removeAllWaiting } from './instance-work.ts';
import { stopWhenIdle } from './stop-instance.ts';
import type { Attempt, Instance, RunningPhase } from './types.ts';

const RETIRED = { kind: 'RETIRED' } as const;
const DRAINED = { kind: 'DRAINED' } as const;

/**
 * Begins to empty the host: nothing new is accepted, what waits is returned, what is idle is stopped in order, what runs is stopped as its
 * function or the rule says, or may finish. A second request may only bring the deadline forward.
 */
export function drainHost(agent: Agent, withinMs: number): void {
  const nowMs = agent.clock.monotonic();
  const deadlineMs = nowMs + withinMs;
  if (agent.drain) agent.drain.deadlineMs = Math.min(agent.drain.deadlineMs, deadlineMs);
  else {
    agent.drain = { startMs: nowMs, deadlineMs };
    agent.log.info('The host drains', { within_ms: withinMs, instances: agent.instances.size });
    for (const instance of [...agent.instances.values()]) drainInstance(agent, instance, deadlineMs);
  }
  agent.outbox.draining(agent.drain.deadlineMs - nowMs);
  checkDrain(agent);
}

/** How much longer than the deadline an instance may take that is being stopped in order: its PreStop hook, and its 50 ms. */
const LEAVE_MS = 4_000;

/** One look at a drain: past its deadline all that is left is killed. */
export function checkDrain(agent: Agent): void {
  const nowMs = agent.clock.monotonic();
  if (!agent.drain || nowMs < agent.drain.deadlineMs) return;
  const mayLeave = nowMs < agent.drain.deadlineMs + LEAVE_MS;
  for (const instance of [...agent.instances.values()]) {
    const { life, work } = instance;
    if (mayLeave && (life.kind === 'HOOKING' || life.kind === 'LEAVING')) continue;
    const phase = work.current?.phase;
    if (phase?.kind === 'RUNNING' && isStoppable(instance))
      beginStop(agent, instance, phase, { ...forcedStop(Cause.DRAIN), request: 'deadline' }, undefined, DRAINED);
    else if (phase?.kind === 'HANDED_OVER') withdraw(agent, phase, forcedStop(Cause.DRAIN));
    else agent.feed(instance, { kind: 'KILL_ORDERED', end: RETIRED });
  }
}

function drainInstance(agent: Agent, instance: Instance, hostDeadlineMs: number): void {
  for (const waiting of removeAllWaiting(instance)) returnAttempt(agent, waiting);
  const { current } = instance.work;
  if (current?.phase.kind === 'HANDED_OVER') withdraw(agent, current.phase, forcedStop(Cause.DRAIN));
  else if (current?.phase.kind === 'RUNNING' && isStoppable(instance))
    drainAttempt(agent, instance, current, current.phase, hostDeadlineMs);
  else stopWhenIdle(agent, instance, Cause.DRAIN);
}

function drainAttempt(agent: Agent, instance: Instance, attempt: Attempt, phase: RunningPhase, hostDeadlineMs: number): void {
  const stop = drainStop(instance.fn, {
    nowMs: agent.clock.monotonic(),
    timeLimitMs: attemptTimeoutMs(instance.timeoutMs, attempt.synchronous),
    timeoutAtMs: deadlineOf(instance, attempt),
    hostDeadlineMs,
  });
  if (!stop) return;
  const request = { cause: Cause.DRAIN, mode: Mode.GRACEFUL, policy: stop.policy, request: 'drain' };
  beginStop(agent, instance, phase, request, stop.plan, DRAINED);
}

function isStoppable({ life }: Instance): boolean {
  return life.kind === 'BUSY' || life.kind === 'TERMINATING';
}
