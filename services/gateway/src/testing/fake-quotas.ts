import type { CountWaitingResponse } from '@evenfall/contracts/queue/v1/queue_service';
import { KeyQuota, NamespaceQuota, QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import type { WatchQuotasResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { inProcessClient, type Pushable } from '@evenfall/rpc';
import type { GatewayPorts } from '../service.ts';

/** The quotas of a world, and those who watch them. */
type QuotaWorld = {
  readonly quotaWatches: Pushable<WatchQuotasResponse>[];
  readonly namespaceQuotas: Map<string, NamespaceQuota>;
  readonly keyQuotas: Map<string, KeyQuota>;
};

/** Keeps quotas in a world, and notifies the watchers. */
export function fakeQuotas(world: () => QuotaWorld): GatewayPorts['quotas'] {
  const notify = (of: NamespaceQuota | undefined, key?: KeyQuota): void => {
    for (const watch of world().quotaWatches)
      watch.push({ namespaceQuotas: of ? [of] : [], keyQuotas: key ? [key] : [], isComplete: false });
  };
  return inProcessClient(QuotaServiceService, {
    putNamespaceQuota: async ({ namespaceQuota: asked }) => {
      const quota = { ...NamespaceQuota.create(), ...asked, updateTime: new Date(0) };
      world().namespaceQuotas.set(quota.namespace, quota);
      notify(quota);
      return { namespaceQuota: quota };
    },
    getNamespaceQuota: async ({ namespace }) => ({
      namespaceQuota: world().namespaceQuotas.get(namespace) ?? { ...NamespaceQuota.create(), namespace },
      isDefault: false,
      usage: { functions: 1, versions: 2, codeBytes: 3n },
    }),
    listNamespaceQuotas: async () => ({ namespaceQuotas: [...world().namespaceQuotas.values()], nextPageToken: '' }),
    deleteNamespaceQuota: async ({ namespace }) => {
      world().namespaceQuotas.delete(namespace);
      notify({ ...NamespaceQuota.create(), namespace });
      return {};
    },
    putKeyQuota: async ({ keyQuota: asked }) => {
      const quota = { ...KeyQuota.create(), ...asked, updateTime: new Date(0) };
      world().keyQuotas.set(quota.keyId, quota);
      notify(undefined, quota);
      return { keyQuota: quota };
    },
    getKeyQuota: async ({ keyId }) => ({
      keyQuota: world().keyQuotas.get(keyId) ?? { ...KeyQuota.create(), keyId },
      isDefault: false,
      usage: { functions: 1, versions: 2, codeBytes: 3n },
    }),
    listKeyQuotas: async () => ({ keyQuotas: [...world().keyQuotas.values()], nextPageToken: '' }),
    deleteKeyQuota: async ({ keyId }) => {
      world().keyQuotas.delete(keyId);
      notify(undefined, { ...KeyQuota.create(), keyId });
      return {};
    },
  });
}

/** What waits in a world: by namespace, and for access keys under "key ID". */
type WaitingWorld = {
  readonly waiting: ReadonlyMap<string, number>;
  readonly keepsWaiting: boolean;
  readonly accepted: readonly unknown[];
};

/** What a queue replica answers about what waits; with `keepsWaiting` all that was accepted does. */
export function waitingIn(world: WaitingWorld, byKey: boolean): CountWaitingResponse {
  const counts = [...world.waiting].map(([name, count]) => ({
    name,
    count: BigInt(count + (world.keepsWaiting ? world.accepted.length : 0)),
  }));
  const isOfKey = (name: string): boolean => name.startsWith('key ');
  return {
    namespaces: counts.filter(({ name }) => !isOfKey(name)).map(({ name, count }) => ({ namespace: name, count })),
    keys: counts.filter(({ name }) => byKey && isOfKey(name)).map(({ name, count }) => ({ keyId: name.slice(4), count })),
  };
}
