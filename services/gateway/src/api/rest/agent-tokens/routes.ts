import { type AgentToken } from '@evenfall/contracts/v1/operator_service';
import { type Static, Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { agentTokenFlows } from '../../../flows/agent-tokens.ts';
import { Duration, PageQuery, pageOf, ref } from '../json/schemas.ts';
import { durationFrom } from '../termination/mapping.ts';
import { emptyIsObject } from '../../http/validation.ts';

const TOKENS = '/v1/agent-tokens';
const TAGS = ['operators'];
const STRICT = { additionalProperties: false } as const;
const Paging = Type.Object(PageQuery, STRICT);
const Path = Type.Object({ token_id: Type.String({ examples: ['01a20078-884d-7000-927a-dc0be50de4d0'] }) });
const Create = Type.Object(
  {
    agent_id: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$',
        'x-rule': 'letters, digits, ".", "_" and "-", at most 63',
        description: 'The agent it is for. Without one the id is made when it joins.',
      }),
    ),
    max_capacity_mb: Type.Optional(
      Type.Integer({
        minimum: 64,
        maximum: 16_777_216,
        description: 'Megabytes the agent counts for at most; without, as the scheduler says.',
      }),
    ),
    time_to_live: Type.Optional({ ...Duration, description: '1 s to 7 d; 1 h by default.' }),
  },
  STRICT,
);

/** Tokens by which agents join. */
export function agentTokenRoutes(app: FastifyInstance): void {
  app.post<{ Body: Static<typeof Create> }>(
    TOKENS,
    {
      schema: {
        tags: TAGS,
        operationId: 'createAgentToken',
        summary: 'Makes a token by which one agent joins; its secret is in this answer and in no other',
        body: Create,
        response: { 201: ref('NewAgentToken') },
      },
      preValidation: emptyIsObject,
    },
    async (request, reply) => {
      const { agent_id: agentId = '', max_capacity_mb: maxCapacityMb = 0, time_to_live: ttl } = request.body;
      request.auditedSubject = agentId;
      const made = await agentTokenFlows(request.gateway).createAgentToken({ agentId, maxCapacityMb, timeToLive: durationFrom(ttl) });
      const { agentToken, secret, authoritySha256 } = made;
      reply.code(201).header('cache-control', 'no-store');
      return reply.send(agentToken && { agent_token: tokenJson(agentToken), secret, authority_sha256: authoritySha256 });
    },
  );

  app.get<{ Querystring: Static<typeof Paging> }>(
    TOKENS,
    {
      schema: {
        tags: TAGS,
        operationId: 'listAgentTokens',
        summary: 'Lists tokens by which agents join, newest first, without their secrets',
        querystring: Paging,
        response: { 200: pageOf('agent_tokens', 'AgentToken') },
      },
    },
    async ({ query, gateway }) => {
      const { page_size: pageSize = 0, page_token: pageToken = '' } = query;
      const page = await agentTokenFlows(gateway).listAgentTokens({ pageSize, pageToken });
      return { agent_tokens: page.agentTokens.map(tokenJson), next_page_token: page.nextPageToken };
    },
  );

  app.post<{ Params: Static<typeof Path> }>(
    `${TOKENS}/:token_id([^:/]+)::revoke`,
    {
      schema: {
        tags: TAGS,
        operationId: 'revokeAgentToken',
        summary: 'Ends a token; the agent that has joined by it gets no further certificate',
        params: Path,
        response: { 200: ref('AgentToken') },
      },
    },
    async ({ params, gateway }) => {
      const { agentToken } = await agentTokenFlows(gateway).revokeAgentToken({ id: params.token_id });
      return agentToken && tokenJson(agentToken);
    },
  );
}

function tokenJson(token: AgentToken): object {
  return {
    id: token.id,
    agent_id: token.agentId === '' ? null : token.agentId,
    max_capacity_mb: token.maxCapacityMb === 0 ? null : token.maxCapacityMb,
    create_time: token.createTime ?? null,
    expire_time: token.expireTime ?? null,
    use_time: token.useTime ?? null,
    used_by_agent_id: token.usedByAgentId === '' ? null : token.usedByAgentId,
    revoke_time: token.revokeTime ?? null,
  };
}
