import type { ListAgentsResponse, ListInstancesRequest, ListInstancesResponse } from '@evenfall/contracts/v1/operator_service';
import { checkLength } from '../domain/fields.ts';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Gateway } from '../ports.ts';

/** Lists the agents that are attached. */
export async function listAgents(gateway: Gateway): Promise<ListAgentsResponse> {
  return gateway.scheduler.listAgents({}, { timeoutMs: LIMITS_MS.read });
}

/** Lists the instances they hold. */
export async function listInstances(gateway: Gateway, request: ListInstancesRequest): Promise<ListInstancesResponse> {
  checkLength('agent_id', request.agentId, 128);
  return gateway.scheduler.listInstances(request, { timeoutMs: LIMITS_MS.read });
}
