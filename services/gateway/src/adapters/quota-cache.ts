import { setTimeout as sleep } from 'node:timers/promises';
import type { KeyQuota, NamespaceQuota } from '@evenfall/contracts/v1/quota_service';
import { superviseLoop } from '@evenfall/lifecycle';
import type { GatewayPorts, QuotaBook } from '../ports.ts';

/** Names the quota of all that have none of their own. */
const DEFAULT_NAME = '*';
/** How long a call waits for the first quotas, right after the start. */
const FIRST_MS = 2_000;

/** Holds the quotas of the registry. When its watch breaks, known quotas stay; the next watch begins with all quotas. */
export function createQuotaCache(ports: Pick<GatewayPorts, 'registry' | 'log'>): QuotaBook & { run(signal: AbortSignal): Promise<void> } {
  let namespaces: ReadonlyMap<string, NamespaceQuota> = new Map();
  let keys: ReadonlyMap<string, KeyQuota> = new Map();
  let isKnown = false;
  const complete = Promise.withResolvers<undefined>();
  let isWatching = false;
  const onFailure = (error: unknown): void => ports.log.warn('the watch of quotas broke', { error: String(error) });
  return {
    get isWatching() {
      return isWatching;
    },
    known: () => isKnown || Promise.race([complete.promise, sleep(FIRST_MS, undefined, { ref: false })]).then(() => isKnown),
    get limitsQueued() {
      return limits(namespaces) || limits(keys);
    },
    get limitsQueuedByKey() {
      return limits(keys);
    },
    ofNamespace: (namespace) => namespaces.get(namespace) ?? namespaces.get(DEFAULT_NAME),
    ofKey: (keyId) => keys.get(keyId) ?? keys.get(DEFAULT_NAME),
    run: (signal) =>
      superviseLoop({ name: 'watch quotas', signal, onFailure }, async () => {
        const ofNamespaces = new Map<string, NamespaceQuota>();
        const ofKeys = new Map<string, KeyQuota>();
        try {
          for await (const { namespaceQuotas, keyQuotas, isComplete } of ports.registry.watchQuotas({}, { signal })) {
            // A quota without a time was removed.
            for (const one of namespaceQuotas)
              if (one.updateTime) ofNamespaces.set(one.namespace, one);
              else ofNamespaces.delete(one.namespace);
            for (const one of keyQuotas)
              if (one.updateTime) ofKeys.set(one.keyId, one);
              else ofKeys.delete(one.keyId);
            if (!isComplete) continue;
            [namespaces, keys] = [ofNamespaces, ofKeys];
            isKnown = true;
            complete.resolve(undefined);
            isWatching = true;
          }
        } finally {
          isWatching = false;
        }
        if (!signal.aborted) throw new Error('the registry ended the watch');
      }),
  };
}

function limits(quotas: ReadonlyMap<string, NamespaceQuota | KeyQuota>): boolean {
  for (const { queuedEvents } of quotas.values()) if (queuedEvents !== undefined) return true;
  return false;
}
