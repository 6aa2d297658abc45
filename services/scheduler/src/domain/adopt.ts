import { Assignment } from '@evenfall/contracts/attempt/v1/attempt';
import type { Cluster } from './cluster.ts';
import type { Agent, LiveAttempt, ReportSink } from './types.ts';

/** Takes the reports of an attempt no queue replica has asked for yet: they are told to the one that does. */
export const NOBODY: ReportSink = { report: () => undefined, claims: undefined };

/**
 * Takes in an attempt that an agent speaks of and no queue replica has. A scheduler that has just started hears of agents and of queue
 * replicas in any order: what it forgot, or acknowledged, before the queue asked for it would be run again.
 */
export function adoptAttempt(cluster: Cluster, agent: Agent, eventId: string, number: number, nowMs: number): LiveAttempt {
  const assignment = Assignment.create({ eventId, attempt: number, runningOnAgentId: agent.id });
  const attempt: LiveAttempt = {
    assignment,
    sink: NOBODY,
    instance: undefined,
    started: undefined,
    ended: undefined,
    stop: undefined,
    sentMs: nowMs,
  };
  cluster.attempts.set(eventId, attempt);
  return attempt;
}
