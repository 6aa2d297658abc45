import type { WatchQuotasResponse } from '@evenfall/contracts/registry/v1/registry_service';
import {
  type GetKeyQuotaResponse,
  type GetNamespaceQuotaResponse,
  KeyQuota,
  type ListKeyQuotasRequest,
  type ListKeyQuotasResponse,
  type ListNamespaceQuotasRequest,
  type ListNamespaceQuotasResponse,
  NamespaceQuota,
} from '@evenfall/contracts/v1/quota_service';
import { orThrow, refuse } from '@evenfall/errors';
import { PAGE_SIZES } from '@evenfall/function-model';
import { cutPage, LISTS, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import { DEFAULT_NAME, MOST_QUOTAS, newKeyQuota, newNamespaceQuota, quotaKeyRefusal, quotaNamespaceRefusal } from '../domain/quota.ts';
import type { QuotaNotice, QuotaRegistry } from '../ports.ts';

/** Quotas in one message of a watch. */
const WATCH_PIECE = 1_000;
/** What a page may begin behind: a name of a namespace or a key, or "*". */
const NAME = /^[\w.*-]{1,64}$/;

export async function putNamespaceQuota(registry: QuotaRegistry, asked: NamespaceQuota | undefined): Promise<NamespaceQuota> {
  const quota = orThrow(newNamespaceQuota(asked ?? NamespaceQuota.create(), registry.clock.now()));
  if (!(await registry.quotas.putNamespace(quota, MOST_QUOTAS))) throw refuse('TOO_MANY_QUOTAS', { limit: MOST_QUOTAS });
  announceNamespace(registry, quota.namespace);
  return quota;
}

/** Says which quota holds for a namespace, and what it uses. */
export async function getNamespaceQuota(registry: QuotaRegistry, namespace: string): Promise<GetNamespaceQuotaResponse> {
  orThrow(quotaNamespaceRefusal(namespace));
  const usage = namespace === DEFAULT_NAME ? undefined : await registry.quotas.usage(namespace);
  const own = await registry.quotas.findNamespace(namespace);
  if (own) return { namespaceQuota: own, isDefault: false, usage };
  const fallback = namespace === DEFAULT_NAME ? undefined : await registry.quotas.findNamespace(DEFAULT_NAME);
  return { namespaceQuota: { ...(fallback ?? NamespaceQuota.create()), namespace }, isDefault: fallback !== undefined, usage };
}

export async function listNamespaceQuotas(
  registry: QuotaRegistry,
  request: ListNamespaceQuotasRequest,
): Promise<ListNamespaceQuotasResponse> {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.quotas);
  const after = readPageToken(request.pageToken, NAME, LISTS.namespaceQuotas);
  const found = await registry.quotas.listNamespaces(after, size + 1);
  const { items, last } = cutPage(found, size, (quota) => NamespaceQuota.encode(quota).finish().length);
  return { namespaceQuotas: [...items], nextPageToken: last ? pageToken(last.namespace, LISTS.namespaceQuotas) : '' };
}

export async function deleteNamespaceQuota(registry: QuotaRegistry, namespace: string): Promise<Record<string, never>> {
  orThrow(quotaNamespaceRefusal(namespace));
  await registry.quotas.deleteNamespace(namespace);
  announceNamespace(registry, namespace);
  return {};
}

export async function putKeyQuota(registry: QuotaRegistry, asked: KeyQuota | undefined): Promise<KeyQuota> {
  const quota = orThrow(newKeyQuota(asked ?? KeyQuota.create(), registry.clock.now()));
  if (!(await registry.quotas.putKey(quota, MOST_QUOTAS))) throw refuse('TOO_MANY_QUOTAS', { limit: MOST_QUOTAS });
  registry.quotaFeed.announce({ of: 'key', name: quota.keyId });
  return quota;
}

/** Says which quota holds for a key, and what it uses. */
export async function getKeyQuota(registry: QuotaRegistry, keyId: string): Promise<GetKeyQuotaResponse> {
  orThrow(quotaKeyRefusal(keyId));
  const usage = keyId === DEFAULT_NAME ? undefined : await registry.quotas.usageOfKey(keyId);
  const own = await registry.quotas.findKey(keyId);
  if (own) return { keyQuota: own, isDefault: false, usage };
  const fallback = keyId === DEFAULT_NAME ? undefined : await registry.quotas.findKey(DEFAULT_NAME);
  return { keyQuota: { ...(fallback ?? KeyQuota.create()), keyId }, isDefault: fallback !== undefined, usage };
}

export async function listKeyQuotas(registry: QuotaRegistry, request: ListKeyQuotasRequest): Promise<ListKeyQuotasResponse> {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.quotas);
  const after = readPageToken(request.pageToken, NAME, 'key quotas');
  const found = await registry.quotas.listKeys(after, size + 1);
  const { items, last } = cutPage(found, size, (quota) => KeyQuota.encode(quota).finish().length);
  return { keyQuotas: [...items], nextPageToken: last ? pageToken(last.keyId, 'key quotas') : '' };
}

export async function deleteKeyQuota(registry: QuotaRegistry, keyId: string): Promise<Record<string, never>> {
  orThrow(quotaKeyRefusal(keyId));
  await registry.quotas.deleteKey(keyId);
  registry.quotaFeed.announce({ of: 'key', name: keyId });
  return {};
}

/** All quotas, then every one that changes, whichever registry changed it; ends when a change may have been missed. */
export async function* watchQuotas(registry: QuotaRegistry, signal: AbortSignal): AsyncGenerator<WatchQuotasResponse> {
  for await (const notice of registry.quotaFeed.watch(signal)) {
    if (notice) yield await quotaOf(registry, notice);
    else yield* allQuotas(registry); // the watch is established: later changes come after what is read now
  }
}

async function* allQuotas({ quotas }: QuotaRegistry): AsyncGenerator<WatchQuotasResponse> {
  for (let after = '', more = true; more;) {
    const namespaceQuotas = await quotas.listNamespaces(after, WATCH_PIECE);
    after = namespaceQuotas.at(-1)?.namespace ?? '';
    more = namespaceQuotas.length === WATCH_PIECE;
    yield { namespaceQuotas, keyQuotas: [], isComplete: false };
  }
  for (let after = '', more = true; more;) {
    const keyQuotas = await quotas.listKeys(after, WATCH_PIECE);
    after = keyQuotas.at(-1)?.keyId ?? '';
    more = keyQuotas.length === WATCH_PIECE;
    yield { namespaceQuotas: [], keyQuotas, isComplete: !more };
  }
}

/** One current quota; without an update time if it was deleted. */
async function quotaOf({ quotas }: QuotaRegistry, { of, name }: NonNullable<QuotaNotice>): Promise<WatchQuotasResponse> {
  if (of === 'key') {
    const quota = (await quotas.findKey(name)) ?? { ...KeyQuota.create(), keyId: name };
    return { namespaceQuotas: [], keyQuotas: [quota], isComplete: false };
  }
  const quota = (await quotas.findNamespace(name)) ?? { ...NamespaceQuota.create(), namespace: name };
  return { namespaceQuotas: [quota], keyQuotas: [], isComplete: false };
}

/** Notifies the watchers of quotas and of functions: schedulers ask for the quotas of instances after every change of a function. */
function announceNamespace({ quotaFeed, feed }: QuotaRegistry, namespace: string): void {
  quotaFeed.announce({ of: 'namespace', name: namespace });
  feed.announce(namespace, '');
}
