import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { grantedAttempt, grantedInstance, grantedPackage } from '@evenfall/grants';
import { outgoingOf } from '../domain/messages.ts';
import type { Agent, Instance, ScheduledAttempt } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Assigns an attempt to an agent, with the grant for its reports. Without an instance it asks for the result of an attempt that the agent had. Hot. */
export function assignAttempt(
  ports: SchedulerPorts,
  agent: Agent,
  attempt: ScheduledAttempt,
  instanceId: string,
  runningOnAgentId?: string,
): void {
  const { assignment } = attempt;
  const { eventId, attempt: number, partition, synchronous } = assignment;
  const granted = grantedAttempt({ eventId, attempt: number, partition: synchronous ? undefined : partition });
  const grant = ports.grants.sign(granted, agent.id, ports.clock.now());
  outgoingOf(agent).assignments.push({
    instanceId,
    assignment: { ...assignment, grant: grant.bytes, runningOnAgentId: runningOnAgentId ?? assignment.runningOnAgentId },
  });
}

/** Requests the start of a new instance from its agent. */
export function requestInstance(ports: SchedulerPorts, { id, agent }: Instance, fn: Fn, ahead: boolean): void {
  const nowMs = ports.clock.now();
  const grant = ports.grants.sign(grantedInstance(id, fn), agent.id, nowMs);
  const packageGrant = ports.grants.sign(grantedPackage(id, fn.codeSha256), agent.id, nowMs);
  outgoingOf(agent).startInstances.push({
    instanceId: id,
    function: { ...fn, eventInvoke: undefined }, // only for the queue: it may contain secrets of webhooks
    ahead,
    grant: grant.bytes,
    packageGrant: packageGrant.bytes,
  });
}
