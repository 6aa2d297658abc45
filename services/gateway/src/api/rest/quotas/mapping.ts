import type { KeyQuota, NamespaceQuota, NamespaceUsage, RateLimit } from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import type { KeyQuotaAnswer, NamespaceQuotaAnswer, RateBody, UsageBody } from './schema.ts';

/** Reads a rate; undefined without one. Throws INVALID_FIELD for a burst without a rate. */
export function rateFrom({ events_per_second: eventsPerSecond, burst }: RateBody): RateLimit | undefined {
  if (eventsPerSecond === undefined && burst !== undefined)
    throw refuse('INVALID_FIELD', { field: 'burst', rule: 'together with events_per_second' });
  return eventsPerSecond === undefined ? undefined : { eventsPerSecond, burst };
}

function rateJson(rate: RateLimit | undefined): Pick<KeyQuotaAnswer, 'events_per_second' | 'burst'> {
  return { events_per_second: rate?.eventsPerSecond ?? null, burst: rate?.burst ?? null };
}

export function namespaceQuotaJson(quota: NamespaceQuota): NamespaceQuotaAnswer {
  return {
    namespace: quota.namespace,
    ...rateJson(quota.rate),
    queued_events: quota.queuedEvents === undefined ? null : Number(quota.queuedEvents),
    functions: quota.functions ?? null,
    versions: quota.versions ?? null,
    code_bytes: quota.codeBytes === undefined ? null : Number(quota.codeBytes),
    instances: quota.instances ?? null,
    update_time: quota.updateTime ?? null,
  };
}

export function usageJson({ functions, versions, codeBytes }: NamespaceUsage): UsageBody {
  return { functions, versions, code_bytes: Number(codeBytes) };
}

export function keyQuotaJson({ keyId, rate, updateTime }: KeyQuota): KeyQuotaAnswer {
  return { key_id: keyId, ...rateJson(rate), update_time: updateTime ?? null };
}
