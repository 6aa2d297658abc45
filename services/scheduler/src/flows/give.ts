import { outgoingOf } from '../domain/messages.ts';
import type { Agent, LiveAttempt } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Gives an attempt to an agent, with the grant by which it may speak of it; without an instance it is asked what became of one it had. Hot. */
export function give(ports: SchedulerPorts, agent: Agent, attempt: LiveAttempt, instanceId: string, runningOnAgentId?: string): void {
  const { assignment } = attempt;
  const { eventId, attempt: number, partition, synchronous } = assignment;
  const grant = ports.grants.sign(
    { eventId, attempt: number, partition: synchronous ? undefined : partition },
    agent.id,
    ports.clock.now(),
  );
  outgoingOf(agent).assignments.push({
    instanceId,
    assignment: { ...assignment, grant: grant.bytes, runningOnAgentId: runningOnAgentId ?? assignment.runningOnAgentId },
  });
}
