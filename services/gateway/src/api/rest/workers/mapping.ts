import { type Agent, Agent_State, type Instance, Instance_State } from '@evenfall/contracts/v1/operator_service';
import { nameOf } from '../json/enum-names.ts';
import { always, textOrNull } from '../json/values.ts';
import type { AgentBody, InstanceBody } from './schema.ts';

export function agentJson(agent: Agent): AgentBody {
  return {
    id: agent.id,
    capacity_mb: agent.capacityMb,
    used_mb: agent.usedMb,
    temporary_mb: agent.temporaryMb,
    instance_count: agent.instanceCount,
    attempt_count: agent.attemptCount,
    attach_time: agent.attachTime ?? null,
    state: always(nameOf(Agent_State, agent.state)),
    drain_deadline_time: agent.drainDeadlineTime ?? null,
    abilities: agent.abilities.map(({ name, available, detail }) => ({ name, available, detail })),
  };
}

export function instanceJson(instance: Instance): InstanceBody {
  return {
    id: instance.id,
    agent_id: instance.agentId,
    namespace: instance.namespace,
    function: instance.function,
    version: instance.version,
    state: always(nameOf(Instance_State, instance.state)),
    event_id: textOrNull(instance.eventId),
    start_time: instance.startTime ?? null,
  };
}
