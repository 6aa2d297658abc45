import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { endBy, resolvePolicy } from '../domain/termination-plan.ts';
import type { Agent } from './agent.ts';
import { beginStop, deadlineOf, forcedStop, planFromNow, withdraw } from './begin-stop.ts';
import { failStart, isStarting } from './load-function.ts';
import type { Attempt, HandedOverPhase, Instance, RunningPhase } from './types.ts';

const TIMED_OUT = { kind: 'TIMED_OUT' } as const;

/** The deadline of an instance has passed. If it runs an attempt, that is the attempt's timeout, or the signal before it; else its life decides. */
export function handleDeadline(agent: Agent, instance: Instance, nowMs: number): void {
  const attempt = instance.life.kind === 'BUSY' ? instance.work.current : undefined;
  const phase = attempt?.phase;
  if (attempt && phase?.kind === 'HANDED_OVER') return removeUnresponsive(agent, instance, attempt, phase);
  if (attempt && phase?.kind === 'RUNNING') return stopAtTimeout(agent, instance, attempt, phase, nowMs);
  // Of a start that took too long, its runtime may know more.
  const fault = instance.start.isLoaded ? undefined : instance.runtime.conversation?.lateFault;
  if (fault && isStarting(instance)) failStart(agent, instance, fault);
  else agent.feed(instance, { kind: 'DUE', nowMs });
}

function stopAtTimeout(agent: Agent, instance: Instance, attempt: Attempt, phase: RunningPhase, nowMs: number): void {
  const deadlineMs = deadlineOf(instance, attempt);
  if (nowMs >= deadlineMs) return beginStop(agent, instance, phase, forcedStop(Cause.TIMEOUT), undefined, TIMED_OUT);
  const policy = resolvePolicy(undefined, instance.fn.terminationByCause?.timeout, deadlineMs - nowMs);
  const request = { cause: Cause.TIMEOUT, mode: Mode.GRACEFUL, policy, request: `${Cause.TIMEOUT}` };
  // Whatever the policy leaves open: at the timeout it is over.
  const plan = endBy({ ...planFromNow(agent, policy, TIMED_OUT), killAtMs: deadlineMs }, deadlineMs, TIMED_OUT, 'TIMEOUT');
  beginStop(agent, instance, phase, request, { ...plan, limitMs: deadlineMs, limit: 'TIMEOUT' }, TIMED_OUT);
}

/** Its runtime reported that it is free and does not receive what it was given: the instance is removed, and what has not begun runs elsewhere. */
function removeUnresponsive(agent: Agent, instance: Instance, attempt: Attempt, phase: HandedOverPhase): void {
  const of = { instance: instance.id, function: instance.fn.name, event_id: attempt.eventId };
  agent.log.warn('An instance did not receive its event', of);
  withdraw(agent, phase, forcedStop(Cause.WITHDRAWN));
}
