import { agentTokenFlows } from '../../../flows/agent-tokens.ts';
import { emptyIsObject } from '../../http/validation.ts';
import { Paging } from '../json/fields.ts';
import { pageOf, ref } from '../json/schema.ts';
import { durationFrom, pageFrom } from '../json/values.ts';
import type { RestPlugin } from '../rest-plugin.ts';
import { tokenJson } from './mapping.ts';
import { AgentToken, CreateBody, NewAgentToken, TokenPath } from './schema.ts';

const TOKENS = '/v1/agent-tokens';
const TAGS = ['operators'];

/** Tokens by which agents join. */
export const agentTokenRoutes: RestPlugin = async (app) => {
  app.post(
    TOKENS,
    {
      schema: {
        tags: TAGS,
        operationId: 'createAgentToken',
        summary: 'Makes a token by which one agent joins; its secret is in this answer and in no other',
        body: CreateBody,
        response: { 201: ref(NewAgentToken) },
      },
      preValidation: emptyIsObject,
    },
    async (request, reply) => {
      const { agent_id: agentId = '', max_capacity_mb: maxCapacityMb = 0, time_to_live: ttl } = request.body;
      request.auditedSubject = agentId;
      const created = await agentTokenFlows(request.gateway).createAgentToken({ agentId, maxCapacityMb, timeToLive: durationFrom(ttl) });
      const { agentToken, secret, authoritySha256 } = created;
      reply.code(201).header('cache-control', 'no-store');
      return agentToken && { agent_token: tokenJson(agentToken), secret, authority_sha256: authoritySha256 };
    },
  );

  app.get(
    TOKENS,
    {
      schema: {
        tags: TAGS,
        operationId: 'listAgentTokens',
        summary: 'Lists tokens by which agents join, newest first, without their secrets',
        querystring: Paging,
        response: { 200: pageOf('agent_tokens', AgentToken) },
      },
    },
    async ({ query, gateway }) => {
      const page = await agentTokenFlows(gateway).listAgentTokens(pageFrom(query));
      return { agent_tokens: page.agentTokens.map(tokenJson), next_page_token: page.nextPageToken };
    },
  );

  app.post(
    `${TOKENS}/:token_id([^:/]+)::revoke`,
    {
      schema: {
        tags: TAGS,
        operationId: 'revokeAgentToken',
        summary: 'Revokes a token; the agent that has joined by it gets no further certificate',
        params: TokenPath,
        response: { 200: ref(AgentToken) },
      },
    },
    async ({ params, gateway }) => {
      const { agentToken } = await agentTokenFlows(gateway).revokeAgentToken({ id: params.token_id });
      return agentToken && tokenJson(agentToken);
    },
  );
};
