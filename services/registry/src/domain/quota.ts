import type { KeyQuota, KeyUsage, NamespaceQuota, NamespaceUsage, RateLimit } from '@evenfall/contracts/v1/quota_service';
import { invalidField, refuse, type Refusal } from '@evenfall/errors';
import { namespaceRefusal } from '@evenfall/function-model';
import { KEY_ID } from './access-key.ts';

/** Names the default: the quota of all that have none of their own. */
export const DEFAULT_NAME = '*';
/** Quotas of namespaces that are kept at most, and of keys as many: every gateway holds all of them. */
export const MOST_QUOTAS = 10_000;

const MAX_RATE = 1_000_000;
const MAX_BURST = 10_000_000;
const MAX_COUNT = 1_000_000_000;

/** Why a name of a namespace can have no quota: INVALID_NAME. */
export function quotaNamespaceRefusal(namespace: string): Refusal | undefined {
  return namespace === DEFAULT_NAME ? undefined : namespaceRefusal(namespace);
}

/** Why an id of a key can have no quota: INVALID_FIELD. */
export function quotaKeyRefusal(keyId: string): Refusal | undefined {
  if (keyId === DEFAULT_NAME || KEY_ID.test(keyId)) return undefined;
  return invalidField('key_id', '"*", or 1 to 64 letters, digits, ".", "_" and "-"');
}

/** The quota that is asked for; or INVALID_NAME, INVALID_FIELD. */
export function newNamespaceQuota(asked: NamespaceQuota, nowMs: number): NamespaceQuota | Refusal {
  const { namespace, rate, queuedEvents, functions, versions, codeBytes, instances } = asked;
  return (
    quotaNamespaceRefusal(namespace) ??
    limitsRefusal(asked) ?? { namespace, rate, queuedEvents, functions, versions, codeBytes, instances, updateTime: new Date(nowMs) }
  );
}

/** The quota of a key that is asked for; or INVALID_FIELD. */
export function newKeyQuota(asked: KeyQuota, nowMs: number): KeyQuota | Refusal {
  const { keyId, rate, queuedEvents, functions, versions, codeBytes, instances } = asked;
  if (instances !== undefined)
    return invalidField(
      'instances',
      'unset: an instance runs events of every key, so its quota is of the namespace; limit "queued_events" or the rate of a key',
    );
  const quota = { keyId, rate, queuedEvents, functions, versions, codeBytes, instances: undefined, updateTime: new Date(nowMs) };
  return quotaKeyRefusal(keyId) ?? limitsRefusal(asked) ?? quota;
}

type Limits = Omit<KeyQuota, 'keyId' | 'updateTime'>;

function limitsRefusal({ rate, queuedEvents, functions, versions, codeBytes, instances }: Limits): Refusal | undefined {
  const refusal = rateRefusal(rate);
  if (refusal) return refusal;
  for (const [field, value] of Object.entries({ queued_events: queuedEvents, functions, versions, instances }))
    if (value !== undefined && (value < 0 || value > MAX_COUNT)) return invalidField(field, `0 to ${MAX_COUNT}`);
  if (codeBytes !== undefined && (codeBytes < 0n || codeBytes > BigInt(Number.MAX_SAFE_INTEGER)))
    return invalidField('code_bytes', `0 to ${Number.MAX_SAFE_INTEGER}`);
  return undefined;
}

function rateRefusal(rate: RateLimit | undefined): Refusal | undefined {
  if (!rate) return undefined;
  const { eventsPerSecond, burst } = rate;
  if (eventsPerSecond < 0 || eventsPerSecond > MAX_RATE) return invalidField('rate.events_per_second', `0 to ${MAX_RATE}`);
  if (burst !== undefined && (burst < 1 || burst > MAX_BURST)) return invalidField('rate.burst', `1 to ${MAX_BURST}`);
  return undefined;
}

/** What the registry counts, of a quota of either kind. */
type Counts = Pick<NamespaceQuota & KeyQuota, 'functions' | 'versions' | 'codeBytes'>;
type Usage = NamespaceUsage & KeyUsage;

/** Whether it limits what the registry counts. */
export function limitsCounts({ functions, versions, codeBytes }: Counts): boolean {
  return functions !== undefined || versions !== undefined || codeBytes !== undefined;
}

/**
 * Why a change is not made that leads from one use to another; undefined if it is. What is above its limit already, because that was lowered, may stay
 * as it is, and be made less.
 */
export function quotaFault(quota: Counts, before: Usage, after: Usage): Refusal | undefined {
  const counts = [
    ['functions', quota.functions, before.functions, after.functions],
    ['versions', quota.versions, before.versions, after.versions],
    ['bytes of code', quota.codeBytes, before.codeBytes, after.codeBytes],
  ] as const;
  for (const [name, limit, used, wanted] of counts)
    if (limit !== undefined && wanted > limit && wanted > used) return refuse('QUOTA_EXCEEDED', { quota: name, limit, used, wanted });
  return undefined;
}
