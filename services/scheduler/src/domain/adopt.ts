import { Assignment, type AttemptKey, type StopAttempt } from '@evenfall/contracts/attempt/v1/attempt';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { type Cluster, removeWaiting } from './cluster.ts';
import { outgoingOf } from './messages.ts';
import type { Agent, ScheduledAttempt, ReportSink } from './types.ts';

/** Sink of attempts whose partition has no owner at the moment: the replica that claims it gets their reports then. */
export const NO_SINK: ReportSink = { report: () => undefined, claims: undefined };

/**
 * Adds an attempt that an agent reports and no queue replica has assigned. Agents and queue replicas connect to a new scheduler in any order:
 * an attempt that it dropped, or acknowledged, before the queue asked for it would run again. The owner of its partition decides whether it is
 * still wanted; a caller that waited is gone with the previous scheduler.
 */
export function adoptAttempt(cluster: Cluster, agent: Agent, key: AttemptKey, nowMs: number, issuedMs: number): ScheduledAttempt {
  const { eventId, attempt: number, partition } = key;
  const synchronous = partition === undefined;
  const assignment = Assignment.create({ eventId, attempt: number, runningOnAgentId: agent.id, partition: partition ?? 0, synchronous });
  const attempt: ScheduledAttempt = {
    assignment,
    sink: (synchronous ? undefined : cluster.owners.get(partition)) ?? NO_SINK,
    instance: undefined,
    started: undefined,
    ended: undefined,
    endedBy: undefined,
    stop: undefined,
    isRecalled: false,
    isRevokeRequested: false,
    sentMs: nowMs,
    adoptedMs: issuedMs,
  };
  cluster.attempts.set(eventId, attempt);
  return attempt;
}

/** The id of the agent that has an attempt; empty if no agent is known to have it. */
export function holderOf({ instance, assignment }: ScheduledAttempt): string {
  return instance?.agent.id ?? assignment.runningOnAgentId;
}

/** Notes the agent of an attempt that waits to be assigned: that agent has it already. */
export function foundAt(cluster: Cluster, attempt: ScheduledAttempt, agent: Agent): void {
  if (removeWaiting(cluster, attempt)) attempt.assignment = { ...attempt.assignment, runningOnAgentId: agent.id };
}

/** Stops an attempt on an agent when its event went on without it. */
export function stopStale({ assignment }: ScheduledAttempt, agent: Agent, number: number): void {
  if (number > assignment.attempt) return; // the queue asked for an older one, and does not know this one yet
  const { eventId, partition } = assignment;
  outgoingOf(agent).stops.push(forcedStop({ eventId, attempt: number, partition }));
}

export function forcedStop({ eventId, attempt, partition }: AttemptKey): StopAttempt {
  return { eventId, attempt, cause: Cause.USER, mode: Mode.FORCE, policy: undefined, partition };
}

/** Whether only an agent has reported an attempt so far: its function is not known. */
export function isAdopted({ assignment }: ScheduledAttempt): boolean {
  return assignment.function === '';
}
