import { drainAgent, listAgents, listInstances } from '../../../flows/list-workers.ts';
import { emptyIsObject } from '../../http/validation.ts';
import { Paging } from '../json/fields.ts';
import { pageOf, ref } from '../json/schema.ts';
import { durationFrom, pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { agentJson, instanceJson } from './mapping.ts';
import { Agent, AgentPath, DrainBody, Instance, InstanceQuery } from './schema.ts';

const TAGS = ['operators'];

/** Worker hosts, and the instances on them. */
export const workerRoutes: RestPlugin = async (app) => {
  app.get(
    '/v1/agents',
    {
      schema: {
        tags: TAGS,
        operationId: 'listAgents',
        summary: 'Lists worker hosts',
        querystring: Paging,
        response: { 200: pageOf('agents', Agent) },
      },
    },
    async ({ query, gateway }) => {
      const { agents, nextPageToken } = await listAgents(gateway, pageFrom(query));
      return { agents: agents.map(agentJson), next_page_token: nextPageToken };
    },
  );
  app.post(
    '/v1/agents/:agent_id([^:/]+)::drain',
    {
      schema: {
        tags: TAGS,
        operationId: 'drainAgent',
        summary: 'Drains a worker host: nothing new goes there, and what runs has until the deadline',
        params: AgentPath,
        body: DrainBody,
        response: { 200: ref(Agent) },
      },
      preValidation: emptyIsObject,
    },
    async (request) => {
      const deadline = durationFrom(request.body.deadline);
      const { agent } = await drainAgent(request.gateway, { agentId: request.params.agent_id, deadline });
      return agent && agentJson(agent);
    },
  );
  app.get(
    '/v1/instances',
    {
      schema: {
        tags: TAGS,
        operationId: 'listInstances',
        summary: 'Lists instances',
        querystring: InstanceQuery,
        response: { 200: pageOf('instances', Instance) },
      },
    },
    async ({ query, gateway }) => {
      const { instances, nextPageToken } = await listInstances(gateway, { agentId: query.agent_id ?? '', ...pageFrom(query) });
      return { instances: instances.map(instanceJson), next_page_token: nextPageToken };
    },
  );
};
