import { createHash, randomBytes } from 'node:crypto';
import type { AgentToken, CreateAgentTokenRequest } from '@evenfall/contracts/v1/operator_service';
import { invalidField, type Refusal } from '@evenfall/errors';
import { AGENT_ID, AGENT_ID_RULE, durationRefusal, HOST_LIMITS, msOr } from '@evenfall/function-model';

/** Tokens kept at most, used ones among them. */
export const MOST_TOKENS = 10_000;
const SECRET = /^evj_[A-Za-z0-9_-]{43}$/;
const SECRET_BYTES = 32;
const DAY_MS = 24 * 3_600_000;
const TIME_TO_LIVE = { leastMs: 1_000, mostMs: 7 * DAY_MS, defaultMs: 3_600_000 };
const MAX_REQUEST_BYTES = 8_192;

/** A new secret: 256 bits of chance, so that its digest says nothing that could be guessed at. */
export function newTokenSecret(): string {
  return `evj_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/** The digest of a secret; undefined for what is none. */
export function tokenDigest(secret: string): Buffer | undefined {
  return SECRET.test(secret) ? createHash('sha256').update(secret).digest() : undefined;
}

/** The token that is asked for; or INVALID_FIELD. */
export function newAgentToken(id: string, request: CreateAgentTokenRequest, nowMs: number): AgentToken | Refusal {
  const { agentId, maxCapacityMb, timeToLive } = request;
  const { least, most } = HOST_LIMITS.memoryMb;
  if (maxCapacityMb !== 0 && !(maxCapacityMb >= least && maxCapacityMb <= most))
    return invalidField('max_capacity_mb', `${least} to ${most}, or 0 for what the scheduler's settings say`);
  const refusal = agentIdRefusal(agentId) ?? durationRefusal('time_to_live', timeToLive, TIME_TO_LIVE);
  if (refusal) return refusal;
  return {
    id,
    agentId,
    maxCapacityMb,
    createTime: new Date(nowMs),
    expireTime: new Date(nowMs + msOr(timeToLive, TIME_TO_LIVE)),
    useTime: undefined,
    usedByAgentId: '',
    revokeTime: undefined,
  };
}

/** Why a text is no id of an agent: INVALID_FIELD. An empty one leaves the id to others. */
export function agentIdRefusal(agentId: string): Refusal | undefined {
  return agentId === '' || AGENT_ID.test(agentId) ? undefined : invalidField('agent_id', AGENT_ID_RULE);
}

/** An id for an agent whose token names none; it is unique. */
export function madeAgentId(): string {
  return `agent-${randomBytes(10).toString('hex')}`;
}

/** The digest by which the same request is known again; or INVALID_FIELD. */
export function requestDigest(request: string): Buffer | Refusal {
  if (request.length > MAX_REQUEST_BYTES) return invalidField('signing_request', `at most ${MAX_REQUEST_BYTES} bytes`);
  return createHash('sha256').update(request).digest();
}
