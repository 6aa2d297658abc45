import type {
  DrainAgentRequest,
  DrainAgentResponse,
  ListAgentsRequest,
  ListAgentsResponse,
  ListInstancesRequest,
  ListInstancesResponse,
} from '@evenfall/contracts/v1/operator_service';
import { invalidField, orThrow } from '@evenfall/errors';
import { durationRefusal, DURATIONS } from '@evenfall/function-model';
import { lengthRefusal } from '../domain/fields.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/** Lists the agents that are attached. */
export async function listAgents(gateway: Gateway, request: ListAgentsRequest): Promise<ListAgentsResponse> {
  return gateway.scheduler.listAgents(request, { timeoutMs: TIMEOUTS_MS.read });
}

/** Lists the instances they hold. */
export async function listInstances(gateway: Gateway, request: ListInstancesRequest): Promise<ListInstancesResponse> {
  orThrow(lengthRefusal('agent_id', request.agentId, 128));
  return gateway.scheduler.listInstances(request, { timeoutMs: TIMEOUTS_MS.read });
}

/** Has a worker host drained. Refusals: AGENT_NOT_FOUND, INVALID_FIELD. */
export async function drainAgent(gateway: Gateway, request: DrainAgentRequest): Promise<DrainAgentResponse> {
  orThrow(lengthRefusal('agent_id', request.agentId, 128));
  if (request.agentId === '') throw invalidField('agent_id', 'the id of an agent');
  orThrow(durationRefusal('deadline', request.deadline, DURATIONS.drainTimeout));
  return gateway.scheduler.drainAgent(request, { timeoutMs: TIMEOUTS_MS.read }); // which logs it
}
