import { Termination_Cause as Cause, Termination_Mode as Mode, type TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { msOfDuration } from '@evenfall/time';
import { endBy, resolvePolicy } from '../domain/termination-plan.ts';
import type { Agent, Attempt, Instance } from './agent.ts';
import { onDue } from './start-instance.ts';
import { beginStop, deadlineOf, forcedStop, planFromNow } from './begin-stop.ts';

const TIMED_OUT = { kind: 'TIMED_OUT' } as const;

/** When something has to happen to an attempt that has just begun: its timeout, or the signal before it. */
export function firstDueMs(instance: Instance, attempt: Attempt): number {
  return deadlineOf(instance, attempt) - warningMs(instance.fn.terminationByCause?.timeout);
}

/** Takes the deadline of an instance: of an attempt that runs it is its timeout, or the signal before it; else its life says what it is. */
export function takeDue(agent: Agent, instance: Instance, nowMs: number): void {
  const attempt = instance.current;
  if (!attempt || instance.life.kind !== 'BUSY') return onDue(agent, instance, nowMs);
  const deadlineMs = deadlineOf(instance, attempt);
  if (nowMs >= deadlineMs) return beginStop(agent, instance, attempt, forcedStop(Cause.TIMEOUT), undefined, TIMED_OUT);
  const policy = resolvePolicy(undefined, instance.fn.terminationByCause?.timeout, deadlineMs - nowMs);
  const asked = { cause: Cause.TIMEOUT, mode: Mode.GRACEFUL, policy, request: `${Cause.TIMEOUT}` };
  // Whatever the policy leaves open: at the timeout it is over.
  const plan = endBy({ ...planFromNow(agent, policy, TIMED_OUT), killAtMs: deadlineMs }, deadlineMs, TIMED_OUT, 'TIMEOUT');
  beginStop(agent, instance, attempt, asked, { ...plan, limitMs: deadlineMs, limit: 'TIMEOUT' }, TIMED_OUT);
}

function warningMs(policy: TerminationPolicy | undefined): number {
  return policy ? (msOfDuration(policy.gracePeriod) ?? 0) : 0;
}
