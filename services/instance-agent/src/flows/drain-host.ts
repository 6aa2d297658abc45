import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { drainStop } from '../domain/drain-rule.ts';
import { timeLimitMs } from '../domain/time-limit.ts';
import type { Agent, Attempt, Instance } from './agent.ts';
import { beginStop, deadlineOf, forcedStop, withdraw } from './begin-stop.ts';
import { stopWhenIdle } from './drive-instance.ts';
import { giveBack } from './end-attempt.ts';

const RETIRED = { kind: 'RETIRED' } as const;
const DRAINED = { kind: 'DRAINED' } as const;

/**
 * Begins to empty the host: nothing new is taken, what waits goes back, what is idle is stopped in order, what runs is stopped as its
 * function or the rule says, or may finish. Asked again it may only bring the deadline forward.
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
  tendDrain(agent);
}

/** What leaves in order when the deadline passes may take so much longer: its PreStop hook, and its 50 ms. */
const LEAVE_MS = 4_000;

/** One look at a drain: past its deadline whatever is left is killed. */
export function tendDrain(agent: Agent): void {
  const nowMs = agent.clock.monotonic();
  if (!agent.drain || nowMs < agent.drain.deadlineMs) return;
  const leaves = nowMs < agent.drain.deadlineMs + LEAVE_MS;
  for (const instance of [...agent.instances.values()]) {
    const { current, life } = instance;
    if (leaves && (life.kind === 'HOOKING' || life.kind === 'LEAVING')) continue;
    if (current && current.phase !== 'WAITING' && isStoppable(instance))
      beginStop(agent, instance, current, { ...forcedStop(Cause.DRAIN), request: 'deadline' }, undefined, DRAINED);
    else if (current?.phase === 'WAITING') withdraw(agent, instance, current, forcedStop(Cause.DRAIN));
    else agent.feed(instance, { kind: 'KILL_ORDERED', ending: RETIRED });
  }
}

function drainInstance(agent: Agent, instance: Instance, hostDeadlineMs: number): void {
  for (const waiting of instance.waiting.splice(0)) giveBack(agent, waiting);
  const { current } = instance;
  if (current?.phase === 'WAITING') withdraw(agent, instance, current, forcedStop(Cause.DRAIN));
  else if (current && isStoppable(instance)) drainAttempt(agent, instance, current, hostDeadlineMs);
  else stopWhenIdle(agent, instance, Cause.DRAIN);
}

function drainAttempt(agent: Agent, instance: Instance, attempt: Attempt, hostDeadlineMs: number): void {
  const stop = drainStop(instance.fn, {
    nowMs: agent.clock.monotonic(),
    timeLimitMs: timeLimitMs(instance.timeoutMs, attempt.synchronous),
    timeoutAtMs: deadlineOf(instance, attempt),
    hostDeadlineMs,
  });
  if (!stop) return;
  beginStop(
    agent,
    instance,
    attempt,
    { cause: Cause.DRAIN, mode: Mode.GRACEFUL, policy: stop.policy, request: 'drain' },
    stop.plan,
    DRAINED,
  );
}

function isStoppable({ life }: Instance): boolean {
  return life.kind === 'BUSY' || life.kind === 'TERMINATING';
}
