import { ANONYMOUS } from '@evenfall/access';
import { createHash, randomBytes } from 'node:crypto';
import {
  AccessKey,
  AccessKey_Role,
  type CreateAccessKeyRequest,
  type RotateAccessKeyRequest,
} from '@evenfall/contracts/v1/access_key_service';
import { invalidField, isRefusal, type Refusal } from '@evenfall/errors';
import { durationRefusal, namespaceRefusal } from '@evenfall/function-model';
import { msOfDuration } from '@evenfall/time';

/** Keys kept at most, revoked ones among them: every gateway holds all that are good. */
export const MOST_KEYS = 10_000;
/** An id of a key in settings and receipts. */
export const KEY_ID = /^[\w.-]{1,64}$/;
const MOST_NAMESPACES = 100;
const SECRET_BYTES = 32;
const DAY_MS = 24 * 3_600_000;
const TIME_TO_LIVE = { leastMs: 1_000, mostMs: 3_650 * DAY_MS };
/** How long the secret before a rotation may stay good. */
const OVERLAP = { leastMs: 0, mostMs: 30 * DAY_MS };

/** A new secret: 256 bits of chance, so that a digest of it says nothing that could be guessed at. */
export function newSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

/** SHA-256. A slow hash would only slow down the APIs: a secret of 256 random bits cannot be tried out. */
export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** The key that is asked for; or INVALID_FIELD, INVALID_NAME. */
export function newAccessKey(request: CreateAccessKeyRequest, nowMs: number): AccessKey | Refusal {
  const { description, role, namespaces, showPayloads, scf } = request;
  if (request.id !== '' && !KEY_ID.test(request.id)) return invalidField('id', '1 to 64 letters, digits, ".", "_" and "-"');
  if (request.id === ANONYMOUS) return invalidField('id', `not "${ANONYMOUS}", the id of callers without a key`);
  if (description.length > 256 || description.includes('\0') || !description.isWellFormed())
    return invalidField('description', 'at most 256 characters of Unicode, without NUL');
  if (!Number.isInteger(role) || role <= AccessKey_Role.UNSPECIFIED || role > AccessKey_Role.VIEWER)
    return invalidField('role', 'one of ADMIN, OPERATOR, DEPLOYER, INVOKER, VIEWER');
  if (showPayloads && role !== AccessKey_Role.VIEWER)
    return invalidField('show_payloads', 'for the role VIEWER only: of others the role says so');
  const timeToLive = durationRefusal('time_to_live', request.timeToLive, TIME_TO_LIVE);
  if (timeToLive) return timeToLive;
  const names = checkedNamespaces(namespaces);
  if (isRefusal(names)) return names;
  return {
    ...AccessKey.create(),
    id: request.id === '' ? `key-${randomBytes(8).toString('hex')}` : request.id,
    description,
    role,
    namespaces: names,
    showPayloads,
    scf,
    createTime: new Date(nowMs),
    expireTime: request.timeToLive && new Date(nowMs + msOfDuration(request.timeToLive)),
  };
}

function checkedNamespaces(namespaces: readonly string[]): string[] | Refusal {
  const all = [...new Set(namespaces)].sort();
  if (all.length === 0 || all.length > MOST_NAMESPACES || (all.length > 1 && all.includes('*')))
    return invalidField('namespaces', `1 to ${MOST_NAMESPACES} names of namespaces, or "*" alone for all`);
  for (const namespace of all) {
    const refusal = namespace === '*' ? undefined : namespaceRefusal(namespace);
    if (refusal) return refusal;
  }
  return all;
}

/** How long the secret before a rotation stays good, in milliseconds; or INVALID_FIELD. */
export function overlapMsOf(overlap: RotateAccessKeyRequest['overlap']): number | Refusal {
  return durationRefusal('overlap', overlap, OVERLAP) ?? msOfDuration(overlap) ?? 0;
}

/** When a key stops being good, or did; undefined for never. */
export function goneTime({ expireTime, revokeTime }: AccessKey): Date | undefined {
  const times = [expireTime, revokeTime].flatMap((time) => (time ? [time.getTime()] : []));
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}

export function isGood(key: AccessKey, nowMs: number): boolean {
  const gone = goneTime(key);
  return gone === undefined || gone.getTime() > nowMs;
}
