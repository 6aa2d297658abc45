import { type Agent, type Instance, Instance_State } from '@evenfall/contracts/v1/operator_service';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { listAgents, listInstances } from '../../flows/list-workers.ts';
import type { Gateway } from '../../ports.ts';
import { nameOf } from './enum-names.ts';
import { ref } from './schemas.ts';

const TAGS = ['operators'];
const Query = Type.Object({ agent_id: Type.Optional(Type.String()) }, { additionalProperties: false });

export function workerRoutes(app: FastifyInstance, gateway: Gateway): void {
  app.get(
    '/v1/agents',
    { schema: { tags: TAGS, summary: 'Lists worker hosts', response: { 200: Type.Object({ agents: Type.Array(ref('Agent')) }) } } },
    async () => ({ agents: (await listAgents(gateway)).agents.map(agentJson) }),
  );
  app.get<{ Querystring: Static<typeof Query> }>(
    '/v1/instances',
    {
      schema: {
        tags: TAGS,
        summary: 'Lists instances',
        querystring: Query,
        response: { 200: Type.Object({ instances: Type.Array(ref('Instance')) }) },
      },
    },
    async (request) => ({
      instances: (await listInstances(gateway, { agentId: request.query.agent_id ?? '' })).instances.map(instanceJson),
    }),
  );
}

function agentJson(agent: Agent): object {
  return {
    id: agent.id,
    capacity_mb: agent.capacityMb,
    used_mb: agent.usedMb,
    instance_count: agent.instanceCount,
    attempt_count: agent.attemptCount,
    attach_time: agent.attachTime ?? null,
  };
}

function instanceJson(instance: Instance): object {
  return {
    id: instance.id,
    agent_id: instance.agentId,
    namespace: instance.namespace,
    function: instance.function,
    version: instance.version,
    state: nameOf(Instance_State, instance.state) ?? null,
    event_id: instance.eventId === '' ? null : instance.eventId,
    start_time: instance.startTime ?? null,
  };
}
