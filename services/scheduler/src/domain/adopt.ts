import { Assignment, type AttemptKey, type StopAttempt } from '@evenfall/contracts/attempt/v1/attempt';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { type Cluster, removeWaiting } from './cluster.ts';
import { outgoingOf } from './messages.ts';
import type { Agent, ScheduledAttempt, ReportSink } from './types.ts';

/** Takes the reports of an attempt whose partition nobody owns just now: they are told to who claims it. */
export const NO_SINK: ReportSink = { report: () => undefined, claims: undefined };

/**
 * Takes in an attempt that an agent speaks of and no queue replica has. A scheduler that has just started hears of agents and of queue
 * replicas in any order: what it forgot, or acknowledged, before the queue asked for it would be run again. Whether it is still wanted, the
 * owner of its partition knows, whenever there is one; a caller that waited went with the scheduler it had asked.
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

/** The id of the agent that has an attempt; empty if it is, so far as is known, with none. */
export function holderOf({ instance, assignment }: ScheduledAttempt): string {
  return instance?.agent.id ?? assignment.runningOnAgentId;
}

/** Takes in where an attempt is that was about to be given to an agent: it has one already. */
export function foundAt(cluster: Cluster, attempt: ScheduledAttempt, agent: Agent): void {
  if (removeWaiting(cluster, attempt)) attempt.assignment = { ...attempt.assignment, runningOnAgentId: agent.id };
}

/** Has an agent stop an attempt whose event went on without it. */
export function stopStale({ assignment }: ScheduledAttempt, agent: Agent, number: number): void {
  if (number > assignment.attempt) return; // whoever asked for the older one does not know yet
  const { eventId, partition } = assignment;
  outgoingOf(agent).stops.push(forcedStop({ eventId, attempt: number, partition }));
}

export function forcedStop({ eventId, attempt, partition }: AttemptKey): StopAttempt {
  return { eventId, attempt, cause: Cause.USER, mode: Mode.FORCE, policy: undefined, partition };
}

/** Whether only an agent has spoken of an attempt so far: what it is an attempt of, is not known. */
export function isAdopted({ assignment }: ScheduledAttempt): boolean {
  return assignment.function === '';
}
