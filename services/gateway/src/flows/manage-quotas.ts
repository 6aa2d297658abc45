import { type Access, allows, namespacesWith } from '@evenfall/access';
import type { ListNamespaceQuotasRequest, QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import type { ClientOf } from '@evenfall/rpc';
import { LISTS } from '@evenfall/paging';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';
import { visiblePage } from './visible-page.ts';

type Quotas = ClientOf<typeof QuotaServiceService>;
/** The operations on quotas that the APIs use. */
export type QuotaFlows = { readonly [Q in keyof Quotas]: (request: Parameters<Quotas[Q]>[0]) => ReturnType<Quotas[Q]> };

/** The quotas that a key may read, after its rights were checked: those of the namespaces that it is valid for. */
export function quotaFlows({ quotas }: Gateway, access: Access): QuotaFlows {
  const change = { timeoutMs: TIMEOUTS_MS.change };
  const read = { timeoutMs: TIMEOUTS_MS.read };
  return {
    putNamespaceQuota: (request) => quotas.putNamespaceQuota(request, change),
    getNamespaceQuota: (request) => quotas.getNamespaceQuota(request, read),
    listNamespaceQuotas: async (request) => {
      if (namespacesWith(access, 'quotas.read') === 'all') return quotas.listNamespaceQuotas(request, read);
      const all = async (page: ListNamespaceQuotasRequest) => {
        const { namespaceQuotas: items, nextPageToken } = await quotas.listNamespaceQuotas(page, read);
        return { items, nextPageToken };
      };
      const { items, nextPageToken } = await visiblePage(request, all, {
        sees: ({ namespace }) => allows(access, 'quotas.read', namespace),
        tokenOf: ({ namespace }) => [namespace, LISTS.namespaceQuotas],
      });
      return { namespaceQuotas: [...items], nextPageToken };
    },
    deleteNamespaceQuota: (request) => quotas.deleteNamespaceQuota(request, change),
    putKeyQuota: (request) => quotas.putKeyQuota(request, change),
    getKeyQuota: (request) => quotas.getKeyQuota(request, read),
    listKeyQuotas: (request) => quotas.listKeyQuotas(request, read),
    deleteKeyQuota: (request) => quotas.deleteKeyQuota(request, change),
  };
}
