import { type Access, type Action, allowsInEach, namespacesWith, rolesText } from '@evenfall/access';
import type { AccessKeyServiceService, ListAccessKeysRequest } from '@evenfall/contracts/v1/access_key_service';
import type { AuditServiceService, ListAuditRecordsRequest, ListAuditRecordsResponse } from '@evenfall/contracts/v1/audit_service';
import { orThrow, refuse } from '@evenfall/errors';
import type { ClientOf } from '@evenfall/rpc';
import { LISTS } from '@evenfall/paging';
import { timeRefusal } from '../domain/fields.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';
import { visiblePage } from './visible-page.ts';

type Keys = ClientOf<typeof AccessKeyServiceService>;
/** The operations on keys that the APIs use. */
export type KeyFlows = { readonly [K in keyof Keys]: (request: Parameters<Keys[K]>[0]) => ReturnType<Keys[K]> };

/**
 * What a key may do with keys: with those of namespaces that it is good for itself. Of others is said what is said of keys that are not there. Keys of
 * the settings are not the registry's, and an id that one of them has is not given to another.
 */
export function keyFlows({ accessKeys, keys }: Gateway, access: Access): KeyFlows {
  const change = { timeoutMs: TIMEOUTS_MS.change };
  const read = { timeoutMs: TIMEOUTS_MS.read };
  const checkMay = async (action: Action, id: string): Promise<void> => {
    const { accessKey } = await accessKeys.getAccessKey({ id }, read);
    if (!accessKey || !allowsInEach(access, action, accessKey.namespaces))
      throw refuse('ACCESS_KEY_NOT_FOUND', { key_id: id.slice(0, 80) });
  };
  return {
    createAccessKey: async (request) => {
      const beyond = request.namespaces.find((namespace) => !allowsInEach(access, 'keys.manage', [namespace]));
      if (beyond !== undefined)
        throw refuse('ROLE_FORBIDS', {
          action: 'keys.manage',
          namespace: beyond.slice(0, 80),
          role: rolesText(access),
          where: beyond === '*' ? 'for all namespaces' : `in namespace "${beyond.slice(0, 80)}"`,
        });
      if (keys.isOwn(request.id)) throw refuse('ACCESS_KEY_EXISTS', { key_id: request.id });
      return accessKeys.createAccessKey(request, change);
    },
    getAccessKey: async (request) => {
      await checkMay('keys.read', request.id);
      return accessKeys.getAccessKey(request, read);
    },
    listAccessKeys: async (request) => {
      if (namespacesWith(access, 'keys.read') === 'all') return accessKeys.listAccessKeys(request, read);
      const all = async (page: ListAccessKeysRequest) => {
        const { accessKeys: items, nextPageToken } = await accessKeys.listAccessKeys(page, read);
        return { items, nextPageToken };
      };
      const { items, nextPageToken } = await visiblePage(request, all, {
        sees: ({ namespaces }) => allowsInEach(access, 'keys.read', namespaces),
        tokenOf: ({ id }) => [id, LISTS.accessKeys],
      });
      return { accessKeys: [...items], nextPageToken };
    },
    rotateAccessKey: async (request) => {
      await checkMay('keys.manage', request.id);
      return accessKeys.rotateAccessKey(request, change);
    },
    revokeAccessKey: async (request) => {
      await checkMay('keys.manage', request.id);
      return accessKeys.revokeAccessKey(request, change);
    },
  };
}

/** Lists audit records of the namespaces that the key is good for. */
export function auditFlows({ registry }: Gateway, access: Access): Pick<ClientOf<typeof AuditServiceService>, 'listAuditRecords'> {
  return {
    async listAuditRecords(query: ListAuditRecordsRequest): Promise<ListAuditRecordsResponse> {
      orThrow(timeRefusal('start_time', query.startTime));
      orThrow(timeRefusal('end_time', query.endTime));
      const allowed = namespacesWith(access, 'audit.read');
      const namespaces = allowed === 'all' ? ['*'] : [...allowed].sort();
      return registry.listAudit({ query, namespaces }, { timeoutMs: TIMEOUTS_MS.read });
    },
  };
}
