import { createHash, randomBytes } from 'node:crypto';
import type { AgentToken, CreateAgentTokenRequest } from '@evenfall/contracts/v1/operator_service';
import { msOfDuration } from '@evenfall/time';
import { invalid, optionalDuration } from './fields.ts';

/** Tokens kept at most, used ones among them. */
export const MOST_TOKENS = 10_000;
const AGENT_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const SECRET = /^evj_[A-Za-z0-9_-]{43}$/;
const SECRET_BYTES = 32;
const DAY_MS = 24 * 3_600_000;
const DEFAULT_TTL_MS = 3_600_000;
/** As the scheduler has it for all hosts. */
const MIN_CAPACITY_MB = 64;
const MAX_CAPACITY_MB = 16_777_216;
const MAX_REQUEST_BYTES = 8_192;

/** A new secret: 256 bits of chance, so that its digest says nothing that could be guessed at. */
export function newTokenSecret(): string {
  return `evj_${randomBytes(SECRET_BYTES).toString('base64url')}`;
}

/** The digest of a secret; undefined for what is none. */
export function tokenDigest(secret: string): Buffer | undefined {
  return SECRET.test(secret) ? createHash('sha256').update(secret).digest() : undefined;
}

/** The token that is asked for. Refusals: INVALID_FIELD. */
export function newAgentToken(id: string, request: CreateAgentTokenRequest, nowMs: number): AgentToken {
  const { agentId, maxCapacityMb } = request;
  if (agentId !== '') checkAgentId(agentId);
  if (maxCapacityMb !== 0 && !(maxCapacityMb >= MIN_CAPACITY_MB && maxCapacityMb <= MAX_CAPACITY_MB))
    throw invalid('max_capacity_mb', `${MIN_CAPACITY_MB} to ${MAX_CAPACITY_MB}, or 0 for what the scheduler's settings say`);
  const ttl = optionalDuration('time_to_live', request.timeToLive, 1_000, 7 * DAY_MS);
  return {
    id,
    agentId,
    maxCapacityMb,
    createTime: new Date(nowMs),
    expireTime: new Date(nowMs + (msOfDuration(ttl) ?? DEFAULT_TTL_MS)),
    useTime: undefined,
    usedByAgentId: '',
    revokeTime: undefined,
  };
}

/** Refuses what is no id of an agent. */
export function checkAgentId(agentId: string): void {
  if (!AGENT_ID.test(agentId)) throw invalid('agent_id', 'letters, digits, ".", "_" and "-", at most 63');
}

/** An id for an agent whose token names none: nobody else has it. */
export function madeAgentId(): string {
  return `agent-${randomBytes(10).toString('hex')}`;
}

/** The digest by which the same request is known again. Refusals: INVALID_FIELD. */
export function requestDigest(request: string): Buffer {
  if (request.length > MAX_REQUEST_BYTES) throw invalid('signing_request', `at most ${MAX_REQUEST_BYTES} bytes`);
  return createHash('sha256').update(request).digest();
}
