import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { noteProven } from '../domain/crash-loop.ts';
import { forgetAttempt } from '../domain/cluster.ts';
import { declaredEnd, endedReport, outgoingOf } from '../domain/messages.ts';
import { isOfAnother, isOutdated } from '../domain/revisions.ts';
import type { Instance, ScheduledAttempt, Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { stopInstance } from './stop-instance.ts';

export const GONE = 'The function no longer exists';

/**
 * Applies a newer revision: idle instances of an older one are stopped, busy ones are replaced when they are free, and attempts that have not
 * started are revoked. The new revision may not crash as the older one did, so its crashes are reset.
 */
export function applyFunction(ports: SchedulerPorts, pool: Pool, fn: Fn): void {
  if (pool.fn && pool.fn.revision >= fn.revision) return;
  pool.fn = fn;
  pool.oldest = fn.revision;
  noteProven(pool);
  replaceOutdated(ports, pool);
  for (const attempt of pool.waiting.all())
    if (isOfAnother(pool, attempt) && pool.waiting.remove(attempt)) endUnstarted(ports, attempt, 435, GONE);
}

/** Applies the deletion of a version: its waiting attempts end, and its idle instances stop. A version that is created again has a newer revision. */
export function applyDeletion(ports: SchedulerPorts, pool: Pool): void {
  pool.fn = undefined;
  pool.oldest = Number.POSITIVE_INFINITY;
  noteProven(pool);
  replaceOutdated(ports, pool);
  failWaiting(ports, pool, 435, GONE);
}

function replaceOutdated(ports: SchedulerPorts, pool: Pool): void {
  for (const instance of [...pool.instances]) {
    if (!isOutdated(instance)) continue;
    pool.isMixed = true;
    replaceInstance(ports, instance);
  }
}

/** Stops an outdated instance if it is idle; requests to revoke its attempt if that has not started. */
export function replaceInstance(ports: SchedulerPorts, instance: Instance): void {
  if (instance.state === 'IDLE') stopInstance(ports, instance, Cause.UPDATE);
  const { attempt, agent } = instance;
  if (!attempt || attempt.started || attempt.ended || attempt.stop || attempt.isRecalled || !agent.recalls || !agent.send) return;
  attempt.isRecalled = true;
  const { eventId, attempt: number, partition, synchronous } = attempt.assignment;
  const whose = synchronous ? { eventId, attempt: number } : { eventId, attempt: number, partition };
  outgoingOf(agent).stops.push({ ...whose, cause: Cause.UNSPECIFIED, mode: Mode.UNSPECIFIED, policy: undefined });
}

/** Ends all waiting attempts. */
export function failWaiting(ports: SchedulerPorts, pool: Pool, statusCode: number, message: string): void {
  for (let attempt = pool.waiting.shift(); attempt; attempt = pool.waiting.shift()) endUnstarted(ports, attempt, statusCode, message);
}

/** Ends an attempt that no instance has. */
export function endUnstarted(ports: SchedulerPorts, attempt: ScheduledAttempt, statusCode: number, message: string): void {
  forgetAttempt(ports.cluster, attempt);
  const { assignment } = attempt;
  const end = declaredEnd(assignment.eventId, Outcome.START_FAILED, statusCode, message, ports.clock.now());
  attempt.sink.report(endedReport(assignment, end));
}
