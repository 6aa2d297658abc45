import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { endBy, resolvePolicy } from '../domain/termination-plan.ts';
import type { Agent, Attempt, Instance } from './agent.ts';
import { onDue } from './start-instance.ts';
import { beginStop, deadlineOf, forcedStop, planFromNow, withdraw } from './begin-stop.ts';

const TIMED_OUT = { kind: 'TIMED_OUT' } as const;

/** Takes the deadline of an instance: of an attempt that runs it is its timeout, or the signal before it; else its life says what it is. */
export function takeDue(agent: Agent, instance: Instance, nowMs: number): void {
  const attempt = instance.current;
  if (!attempt || instance.life.kind !== 'BUSY') return onDue(agent, instance, nowMs);
  if (attempt.phase === 'WAITING') return removeUntaken(agent, instance, attempt);
  const deadlineMs = deadlineOf(instance, attempt);
  if (nowMs >= deadlineMs) return beginStop(agent, instance, attempt, forcedStop(Cause.TIMEOUT), undefined, TIMED_OUT);
  const policy = resolvePolicy(undefined, instance.fn.terminationByCause?.timeout, deadlineMs - nowMs);
  const asked = { cause: Cause.TIMEOUT, mode: Mode.GRACEFUL, policy, request: `${Cause.TIMEOUT}` };
  // Whatever the policy leaves open: at the timeout it is over.
  const plan = endBy({ ...planFromNow(agent, policy, TIMED_OUT), killAtMs: deadlineMs }, deadlineMs, TIMED_OUT, 'TIMEOUT');
  beginStop(agent, instance, attempt, asked, { ...plan, limitMs: deadlineMs, limit: 'TIMEOUT' }, TIMED_OUT);
}

/** Its runtime said that it is free and does not take what it was given: the instance is removed, and what has not begun runs elsewhere. */
function removeUntaken(agent: Agent, instance: Instance, attempt: Attempt): void {
  const { eventId } = attempt;
  agent.log.warn('An instance did not take its event', { instance: instance.id, function: instance.fn.name, event_id: eventId });
  withdraw(agent, instance, attempt, forcedStop(Cause.WITHDRAWN));
}
