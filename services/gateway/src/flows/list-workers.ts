import type {
  DrainAgentRequest,
  DrainAgentResponse,
  ListAgentsRequest,
  ListAgentsResponse,
  ListInstancesRequest,
  ListInstancesResponse,
} from '@evenfall/contracts/v1/operator_service';
import { refuse } from '@evenfall/errors';
import { boundedMs, checkLength } from '../domain/fields.ts';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Gateway } from '../ports.ts';

/** Lists the agents that are attached. */
export async function listAgents(gateway: Gateway, request: ListAgentsRequest): Promise<ListAgentsResponse> {
  return gateway.scheduler.listAgents(request, { timeoutMs: LIMITS_MS.read });
}

/** Lists the instances they hold. */
export async function listInstances(gateway: Gateway, request: ListInstancesRequest): Promise<ListInstancesResponse> {
  checkLength('agent_id', request.agentId, 128);
  return gateway.scheduler.listInstances(request, { timeoutMs: LIMITS_MS.read });
}

const MAX_DRAIN_MS = 24 * 3_600_000;

/** Has a worker host drained. Refusals: AGENT_NOT_FOUND, INVALID_FIELD. */
export async function drainAgent(gateway: Gateway, request: DrainAgentRequest): Promise<DrainAgentResponse> {
  checkLength('agent_id', request.agentId, 128);
  if (request.agentId === '') throw refuse('INVALID_FIELD', { field: 'agent_id', rule: 'the id of an agent' });
  boundedMs('deadline', request.deadline, 0, MAX_DRAIN_MS);
  return gateway.scheduler.drainAgent(request, { timeoutMs: LIMITS_MS.read }); // which logs it
}
