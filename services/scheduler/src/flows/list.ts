import {
  Agent as AgentMessage,
  Agent_State as AgentState,
  Instance as InstanceMessage,
  Instance_State as State,
  type ListAgentsRequest,
  type ListAgentsResponse,
  type ListInstancesRequest,
  type ListInstancesResponse,
} from '@evenfall/contracts/v1/operator_service';
import { PAGE_SIZES } from '@evenfall/function-model';
import { cutPage, LISTS, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import type { Agent, Instance } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** An id; of an instance with the milliseconds of its start before it. */
const AGENT_KEY = /^[\x21-\x7e]+$/;
const INSTANCE_KEY = /^\d{1,15}\/[\x21-\x7e]+$/;

/** Lists the agents that are attached, by id. */
export function listAgents({ cluster }: SchedulerPorts, request: ListAgentsRequest): ListAgentsResponse {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.agents);
  const after = readPageToken(request.pageToken, AGENT_KEY, 'agents');
  const found = [...cluster.agents.values()].filter((agent) => agent.send && agent.id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
  const { items, last } = cutPage(found.slice(0, size + 1).map(agentMessage), size, (agent) => AgentMessage.encode(agent).finish().length);
  return { agents: [...items], nextPageToken: last ? pageToken(last.id, 'agents') : '' };
}

/** An agent as operators see it. */
export function agentMessage(agent: Agent): AgentMessage {
  const { drain } = agent;
  return {
    id: agent.id,
    capacityMb: agent.capacityMb,
    usedMb: agent.usedMb,
    temporaryMb: agent.temporaryMb,
    instanceCount: agent.instances.size,
    attemptCount: [...agent.instances.values()].filter((instance) => instance.attempt).length,
    attachTime: new Date(agent.attachTimeMs),
    state: drain ? AgentState.DRAINING : AgentState.ATTACHED,
    drainDeadlineTime: drain?.deadlineTimeMs === undefined ? undefined : new Date(drain.deadlineTimeMs),
    abilities: [...agent.abilities],
  };
}

/** Lists the instances they hold, oldest first. */
export function listInstances({ cluster }: SchedulerPorts, request: ListInstancesRequest): ListInstancesResponse {
  const { agentId } = request;
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.instances);
  const after = placeOf(readPageToken(request.pageToken, INSTANCE_KEY, LISTS.instances, agentId));
  const found = [...cluster.agents.values()]
    .filter((agent) => agentId === '' || agent.id === agentId)
    .flatMap((agent) => [...agent.instances.values()])
    .filter((instance) => !after || compare(instance, after) > 0)
    .sort(compare);
  const page = found.slice(0, size + 1).map((instance) => ({ instance, message: instanceMessage(instance) }));
  const { items, last } = cutPage(page, size, ({ message }) => InstanceMessage.encode(message).finish().length);
  return {
    instances: items.map(({ message }) => message),
    nextPageToken: last ? pageToken(`${last.instance.startTimeMs}/${last.instance.id}`, LISTS.instances, agentId) : '',
  };
}

type Place = Pick<Instance, 'startTimeMs' | 'id'>;

function placeOf(key: string): Place | undefined {
  const slash = key.indexOf('/');
  return slash < 0 ? undefined : { startTimeMs: Number(key.slice(0, slash)), id: key.slice(slash + 1) };
}

function compare(a: Place, b: Place): number {
  return a.startTimeMs - b.startTimeMs || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

function instanceMessage(instance: Instance): InstanceMessage {
  const [namespace = '', fn = '', version = ''] = instance.pool.key.split('/');
  return {
    id: instance.id,
    agentId: instance.agent.id,
    namespace,
    function: fn,
    version,
    state: State[instance.state],
    eventId: instance.attempt?.assignment.eventId ?? '',
    startTime: new Date(instance.startTimeMs),
  };
}
