import type { AttachResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { assignmentBytes, inParts, MESSAGE_BYTES } from '@evenfall/event-model';
import type { Agent } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Sends every agent what has been put together for it: one batch per turn, whatever the number of attempts. */
export function flushAgents({ cluster }: SchedulerPorts): void {
  for (const agent of cluster.agents.values()) flushAgent(agent);
}

export function flushAgent(agent: Agent): void {
  const batch = agent.outgoing;
  if (!batch || !agent.send) return;
  agent.outgoing = undefined;
  for (const part of partsOf(batch)) agent.send(part);
}

/** A batch in messages of bounded size. What starts instances goes with the first attempts, what ends attempts behind the last of them. */
function partsOf(batch: AttachResponse): readonly AttachResponse[] {
  const parts = inParts(batch.assignments, ({ assignment }) => (assignment ? assignmentBytes(assignment) : 0), MESSAGE_BYTES);
  if (parts.length <= 1) return [batch];
  return parts.map((assignments, i) => ({
    welcome: i === 0 ? batch.welcome : undefined,
    heartbeat: i === 0 ? batch.heartbeat : undefined,
    startInstances: i === 0 ? batch.startInstances : [],
    assignments: [...assignments],
    stops: i === parts.length - 1 ? batch.stops : [],
    stopInstances: i === parts.length - 1 ? batch.stopInstances : [],
    acks: i === parts.length - 1 ? batch.acks : [],
    drain: i === parts.length - 1 ? batch.drain : undefined,
  }));
}
