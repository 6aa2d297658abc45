import type { RenewLeaseRequest, RenewLeaseResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { refuse } from '@evenfall/errors';
import type { SchedulerPorts } from '../ports.ts';

/** Takes a sign of life beside an agent's stream. One that has no stream has lost what the lease is for: it has to say hello. */
export function renewLease({ cluster, clock }: SchedulerPorts, { agentId, sessionId }: RenewLeaseRequest): Promise<RenewLeaseResponse> {
  const agent = cluster.agents.get(agentId);
  if (!agent?.send || agent.sessionId !== sessionId) throw refuse('AGENT_NOT_FOUND', { agent_id: agentId.slice(0, 128) });
  agent.lastSeenMs = clock.monotonic();
  return Promise.resolve({});
}
