import type { KeyQuota, NamespaceQuota, NamespaceUsage, RateLimit } from '@evenfall/contracts/v1/quota_service';
import { refuse, type Refusal } from '@evenfall/errors';
import { KEY_ID } from './access-key.ts';
import { invalid } from './fields.ts';
import { checkNames } from './names.ts';

/** Names the default: the quota of all that have none of their own. */
export const DEFAULT_NAME = '*';
/** Quotas of namespaces that are kept at most, and of keys as many: every gateway holds all of them. */
export const MOST_QUOTAS = 10_000;

const MAX_RATE = 1_000_000;
const MAX_BURST = 10_000_000;
const MAX_COUNT = 1_000_000_000;

/** Refuses what can have no quota. Refusals: INVALID_NAME. */
export function checkNamespace(namespace: string): void {
  if (namespace !== DEFAULT_NAME) checkNames(namespace);
}

/** The same of a key. Refusals: INVALID_FIELD. */
export function checkKeyId(keyId: string): void {
  if (keyId !== DEFAULT_NAME && !KEY_ID.test(keyId)) throw invalid('key_id', '"*", or 1 to 64 letters, digits, ".", "_" and "-"');
}

/** The quota that is asked for, checked. Refusals: INVALID_NAME, INVALID_FIELD. */
export function newNamespaceQuota(asked: NamespaceQuota, nowMs: number): NamespaceQuota {
  const { namespace, rate, queuedEvents, functions, versions, codeBytes, instances } = asked;
  checkNamespace(namespace);
  checkRate(rate);
  for (const [field, value] of Object.entries({ queued_events: queuedEvents, functions, versions, instances }))
    if (value !== undefined && (value < 0 || value > MAX_COUNT)) throw invalid(field, `0 to ${MAX_COUNT}`);
  if (codeBytes !== undefined && (codeBytes < 0n || codeBytes > BigInt(Number.MAX_SAFE_INTEGER)))
    throw invalid('code_bytes', `0 to ${Number.MAX_SAFE_INTEGER}`);
  return { namespace, rate, queuedEvents, functions, versions, codeBytes, instances, updateTime: new Date(nowMs) };
}

/** The same of a key. */
export function newKeyQuota({ keyId, rate }: KeyQuota, nowMs: number): KeyQuota {
  checkKeyId(keyId);
  checkRate(rate);
  return { keyId, rate, updateTime: new Date(nowMs) };
}

function checkRate(rate: RateLimit | undefined): void {
  if (!rate) return;
  const { eventsPerSecond, burst } = rate;
  if (eventsPerSecond < 0 || eventsPerSecond > MAX_RATE) throw invalid('rate.events_per_second', `0 to ${MAX_RATE}`);
  if (burst !== undefined && (burst < 1 || burst > MAX_BURST)) throw invalid('rate.burst', `1 to ${MAX_BURST}`);
}

/** Whether it limits what the registry counts. */
export function limitsCounts({ functions, versions, codeBytes }: NamespaceQuota): boolean {
  return functions !== undefined || versions !== undefined || codeBytes !== undefined;
}

/**
 * Why a change is not made that leads from one use to another; undefined if it is. What is above its limit already, because that was lowered, may stay
 * as it is, and be made less.
 */
export function quotaFault(quota: NamespaceQuota, before: NamespaceUsage, after: NamespaceUsage): Refusal | undefined {
  const counts = [
    ['functions', quota.functions, before.functions, after.functions],
    ['versions', quota.versions, before.versions, after.versions],
    ['bytes of code', quota.codeBytes, before.codeBytes, after.codeBytes],
  ] as const;
  for (const [name, limit, used, wanted] of counts)
    if (limit !== undefined && wanted > limit && wanted > used) return refuse('QUOTA_EXCEEDED', { quota: name, limit, used, wanted });
  return undefined;
}
