import type { ListAgentsResponse, ListInstancesResponse } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { type Agent as AgentMessage, Agent_State as AgentState, Instance_State as State } from '@evenfall/contracts/v1/operator_service';
import type { Agent } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';

/** Lists the agents that are attached. */
export function listAgents({ cluster }: SchedulerPorts): ListAgentsResponse {
  const agents = [...cluster.agents.values()].filter((agent) => agent.send).map(agentMessage);
  return { agents: agents.sort((a, b) => (a.id < b.id ? -1 : 1)) };
}

/** An agent as operators see it. */
export function agentMessage(agent: Agent): AgentMessage {
  const { drain } = agent;
  return {
    id: agent.id,
    capacityMb: agent.capacityMb,
    usedMb: agent.usedMb,
    instanceCount: agent.instances.size,
    attemptCount: [...agent.instances.values()].filter((instance) => instance.attempt).length,
    attachTime: new Date(agent.attachTimeMs),
    state: drain ? AgentState.DRAINING : AgentState.ATTACHED,
    drainDeadlineTime: drain?.deadlineTimeMs === undefined ? undefined : new Date(drain.deadlineTimeMs),
    abilities: [...agent.abilities],
  };
}

/** Lists the instances they hold. */
export function listInstances({ cluster }: SchedulerPorts, agentId: string): ListInstancesResponse {
  const instances = [...cluster.agents.values()]
    .filter((agent) => agentId === '' || agent.id === agentId)
    .flatMap((agent) => [...agent.instances.values()])
    .map((instance) => {
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
    });
  return { instances: instances.sort((a, b) => a.startTime.getTime() - b.startTime.getTime()) };
}
