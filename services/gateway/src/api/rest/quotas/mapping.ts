import type { KeyQuota, KeyUsage, NamespaceQuota, NamespaceUsage, RateLimit } from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import type { KeyQuotaAnswer, LimitsBody, NamespaceQuotaAnswer, UsageBody } from './schema.ts';

/** The limits that quotas of namespaces and of keys have in common. */
export function limitsFrom(body: LimitsBody): Omit<KeyQuota, 'keyId' | 'instances' | 'updateTime'> {
  return {
    rate: rateFrom(body),
    queuedEvents: body.queued_events === undefined ? undefined : BigInt(body.queued_events),
    functions: body.functions,
    versions: body.versions,
    codeBytes: body.code_bytes === undefined ? undefined : BigInt(body.code_bytes),
  };
}

/** Reads a rate; undefined without one. Throws INVALID_FIELD for a burst without a rate. */
function rateFrom({ events_per_second: eventsPerSecond, burst }: LimitsBody): RateLimit | undefined {
  if (eventsPerSecond === undefined && burst !== undefined)
    throw refuse('INVALID_FIELD', { field: 'burst', rule: 'together with events_per_second' });
  return eventsPerSecond === undefined ? undefined : { eventsPerSecond, burst };
}

function rateJson(rate: RateLimit | undefined): Pick<KeyQuotaAnswer, 'events_per_second' | 'burst'> {
  return { events_per_second: rate?.eventsPerSecond ?? null, burst: rate?.burst ?? null };
}

function limitsJson(quota: NamespaceQuota | KeyQuota): Omit<KeyQuotaAnswer, 'key_id' | 'update_time'> {
  return {
    ...rateJson(quota.rate),
    queued_events: quota.queuedEvents === undefined ? null : Number(quota.queuedEvents),
    functions: quota.functions ?? null,
    versions: quota.versions ?? null,
    code_bytes: quota.codeBytes === undefined ? null : Number(quota.codeBytes),
  };
}

export function namespaceQuotaJson(quota: NamespaceQuota): NamespaceQuotaAnswer {
  const { namespace, instances, updateTime } = quota;
  return { namespace, ...limitsJson(quota), instances: instances ?? null, update_time: updateTime ?? null };
}

export function usageJson({ functions, versions, codeBytes }: NamespaceUsage | KeyUsage): UsageBody {
  return { functions, versions, code_bytes: Number(codeBytes) };
}

export function keyQuotaJson(quota: KeyQuota): KeyQuotaAnswer {
  return { key_id: quota.keyId, ...limitsJson(quota), update_time: quota.updateTime ?? null };
}
