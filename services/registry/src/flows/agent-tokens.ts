import type { RenewCertificateResponse } from '@evenfall/contracts/registry/v1/registry_service';
import {
  AgentToken as Codec,
  type AgentToken,
  type CreateAgentTokenRequest,
  type CreateAgentTokenResponse,
  type ListAgentTokensRequest,
  type ListAgentTokensResponse,
} from '@evenfall/contracts/v1/operator_service';
import { invalidField, OperatorError, orThrow, refuse } from '@evenfall/errors';
import { PAGE_SIZES } from '@evenfall/function-model';
import { cutPage, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import { agentIdentity, capacityUri } from '@evenfall/peer-identity';
import { newUuidV7 } from '@evenfall/time';
import {
  agentIdRefusal,
  madeAgentId,
  MOST_TOKENS,
  newAgentToken,
  newTokenSecret,
  requestDigest,
  tokenDigest,
} from '../domain/agent-token.ts';
import type { Joined, Joining, JoinRegistry, JoinRequest } from '../ports.ts';

const TOKEN_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Makes a token; its secret is in this answer and nowhere else. */
export async function createAgentToken(registry: JoinRegistry, request: CreateAgentTokenRequest): Promise<CreateAgentTokenResponse> {
  const { authority } = joiningOf(registry);
  const agentToken = orThrow(newAgentToken(newUuidV7(), request, registry.clock.now()));
  const secret = newTokenSecret();
  const digest = tokenDigest(secret);
  if (!digest || !(await registry.agentTokens.insert(agentToken, digest, MOST_TOKENS)))
    throw refuse('TOO_MANY_AGENT_TOKENS', { limit: MOST_TOKENS });
  return { agentToken, secret, authoritySha256: authority.sha256 };
}

/** Lists tokens, newest first. */
export async function listAgentTokens({ agentTokens }: JoinRegistry, request: ListAgentTokensRequest): Promise<ListAgentTokensResponse> {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.agentTokens);
  const before = readPageToken(request.pageToken, TOKEN_ID, 'agent tokens');
  const { items, last } = cutPage(await agentTokens.list(before, size + 1), size, (token) => Codec.encode(token).finish().length);
  return { agentTokens: [...items], nextPageToken: last ? pageToken(last.id, 'agent tokens') : '' };
}

export async function revokeAgentToken({ agentTokens, clock }: JoinRegistry, id: string): Promise<AgentToken> {
  const token = TOKEN_ID.test(id) ? await agentTokens.revoke(id, new Date(clock.now())) : undefined;
  if (!token) throw refuse('AGENT_TOKEN_NOT_FOUND', { token_id: id.slice(0, 80) });
  return token;
}

/**
 * Lets an agent join by its token, once; the same request again is the same use, since its answer may have been lost. Refusals: JOINING_OFF,
 * JOIN_REFUSED, which does not say why, INVALID_FIELD.
 */
export async function joinAgent(registry: JoinRegistry, request: JoinRequest): Promise<Joined> {
  const joining = joiningOf(registry);
  const { agentId, signingRequest } = request;
  orThrow(agentIdRefusal(agentId));
  const secretSha256 = tokenDigest(request.token);
  if (!secretSha256) throw refuse('JOIN_REFUSED');
  const keySha256 = orThrow(requestDigest(signingRequest));
  await certify(joining, signingRequest, 'unused', 0); // checks the request first: an invalid one does not use the token up
  const now = new Date(registry.clock.now());
  const token = await registry.agentTokens.use({ secretSha256, keySha256, agentId, madeAgentId: madeAgentId(), now });
  if (!token) throw refuse('JOIN_REFUSED');
  registry.log.info('an agent has joined', { agent_id: token.usedByAgentId, token: token.id });
  const certificate = await certify(joining, signingRequest, token.usedByAgentId, token.maxCapacityMb);
  return { agentId: token.usedByAgentId, certificate, authorities: await joining.authorities() };
}

/** Certifies a new key of an agent that has joined. Refusals: JOINING_OFF, JOIN_REFUSED, INVALID_FIELD. */
export async function renewCertificate(registry: JoinRegistry, agentId: string, signingRequest: string): Promise<RenewCertificateResponse> {
  const joining = joiningOf(registry);
  orThrow(requestDigest(signingRequest));
  const token = await registry.agentTokens.lastUsedBy(agentId);
  if (!token || token.revokeTime) throw refuse('JOIN_REFUSED');
  return { certificate: await certify(joining, signingRequest, agentId, token.maxCapacityMb), authorities: await joining.authorities() };
}

function joiningOf({ joining }: JoinRegistry): Joining {
  if (!joining) throw refuse('JOINING_OFF');
  return joining;
}

async function certify({ authority, validMs }: Joining, request: string, agentId: string, maxCapacityMb: number): Promise<string> {
  try {
    return await authority.sign(agentIdentity(agentId), request, { validMs, uris: maxCapacityMb > 0 ? [capacityUri(maxCapacityMb)] : [] });
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    throw invalidField('signing_request', 'a certificate signing request (PEM) of a key of P-256, signed with it');
  }
}
