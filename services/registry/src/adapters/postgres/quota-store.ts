import { KeyQuota, NamespaceQuota } from '@evenfall/contracts/v1/quota_service';
import type { Sql } from '@evenfall/postgres';
import { DEFAULT_NAME } from '../../domain/quota.ts';
import type { QuotaStore } from '../../ports.ts';
import { CHANGE_CHANNEL, guarded } from './function-store.ts';
import { keyQuotaLock, quotaLock, transaction, usageOf, usageOfKey } from './within-quota.ts';

/** The channel for changes of quotas: "namespace/name" or "key/id". */
export const QUOTA_CHANNEL = 'evenfall_registry_quota';

type Row = { readonly data: Buffer };

/** Keeps quotas in Postgres. */
export function createQuotaStore(sql: Sql): QuotaStore {
  return {
    usage: (namespace) => guarded(() => usageOf(sql, namespace)),

    usageOfKey: (keyId) => guarded(() => usageOfKey(sql, keyId)),

    findNamespace: (namespace) =>
      guarded(async () => {
        const [row] = await sql<Row[]>`SELECT data FROM registry.namespace_quota WHERE namespace = ${namespace}`;
        return row && NamespaceQuota.decode(row.data);
      }),

    listNamespaces: (after, limit) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT data FROM registry.namespace_quota WHERE namespace > ${after} ORDER BY namespace LIMIT ${limit}`;
        return rows.map(({ data }) => NamespaceQuota.decode(data));
      }),

    listInstances: () =>
      guarded(async () => {
        const rows = await sql<{ namespace: string; instances: number | null }[]>`
          SELECT namespace, instances FROM registry.namespace_quota WHERE instances IS NOT NULL
            OR EXISTS (SELECT FROM registry.namespace_quota WHERE namespace = ${DEFAULT_NAME} AND instances IS NOT NULL)`;
        return rows.map(({ namespace, instances }) => ({ namespace, instances: instances ?? undefined }));
      }),

    putNamespace: (quota, most) =>
      guarded(() =>
        transaction(sql, async (on) => {
          const { namespace } = quota;
          await on`SELECT pg_advisory_xact_lock(${quotaLock(on, namespace)})`;
          const rows = await on`
            INSERT INTO registry.namespace_quota (namespace, data, instances)
            SELECT ${namespace}, ${Buffer.from(NamespaceQuota.encode(quota).finish())}, ${quota.instances ?? null}::int
            WHERE EXISTS (SELECT FROM registry.namespace_quota WHERE namespace = ${namespace})
              OR (SELECT count(*) FROM registry.namespace_quota) < ${most}::int
            ON CONFLICT (namespace) DO UPDATE SET data = excluded.data, instances = excluded.instances
            RETURNING ${noticeOf(on, namespace)}`;
          return rows.length > 0;
        }),
      ),

    deleteNamespace: (namespace) =>
      guarded(async () => {
        await sql`DELETE FROM registry.namespace_quota WHERE namespace = ${namespace} RETURNING ${noticeOf(sql, namespace)}`;
      }),

    findKey: (keyId) =>
      guarded(async () => {
        const [row] = await sql<Row[]>`SELECT data FROM registry.key_quota WHERE key_id = ${keyId}`;
        return row && KeyQuota.decode(row.data);
      }),

    listKeys: (after, limit) =>
      guarded(async () => {
        const rows = await sql<Row[]>`SELECT data FROM registry.key_quota WHERE key_id > ${after} ORDER BY key_id LIMIT ${limit}`;
        return rows.map(({ data }) => KeyQuota.decode(data));
      }),

    putKey: (quota, most) =>
      guarded(() =>
        transaction(sql, async (on) => {
          const { keyId } = quota;
          await on`SELECT pg_advisory_xact_lock(${keyQuotaLock(on, keyId)})`;
          const rows = await on`
            INSERT INTO registry.key_quota (key_id, data) SELECT ${keyId}, ${Buffer.from(KeyQuota.encode(quota).finish())}
            WHERE EXISTS (SELECT FROM registry.key_quota WHERE key_id = ${keyId})
              OR (SELECT count(*) FROM registry.key_quota) < ${most}::int
            ON CONFLICT (key_id) DO UPDATE SET data = excluded.data
            RETURNING pg_notify(${QUOTA_CHANNEL}, ${`key/${keyId}`})`;
          return rows.length > 0;
        }),
      ),

    deleteKey: (keyId) =>
      guarded(async () => {
        await sql`DELETE FROM registry.key_quota WHERE key_id = ${keyId} RETURNING pg_notify(${QUOTA_CHANNEL}, ${`key/${keyId}`})`;
      }),
  };
}

/** Notifies gateways and schedulers: schedulers ask for the quotas of instances after every change of a function, and this one has an empty name. */
function noticeOf(on: Sql, namespace: string): ReturnType<Sql> {
  return on`pg_notify(${QUOTA_CHANNEL}, ${`namespace/${namespace}`}), pg_notify(${CHANGE_CHANNEL}, ${`${namespace}/`})`;
}
