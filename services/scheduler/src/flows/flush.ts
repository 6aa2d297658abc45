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
  agent.send(batch);
}
