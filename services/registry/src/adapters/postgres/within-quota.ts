import { KeyQuota, type KeyUsage, NamespaceQuota, type NamespaceUsage } from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import type { Sql } from '@evenfall/postgres';
import { DEFAULT_NAME, limitsCounts, quotaFault } from '../../domain/quota.ts';
import { type Staged, withStaged } from './staged-code.ts';

/** Whose quotas hold for a change: those of a namespace, and those of an access key where its id is not empty. */
export type Owners = { readonly namespace: string; readonly keyId: string };

/** A quota that holds, and how to count what it limits. */
type Limit = {
  readonly scope: 'key' | 'namespace';
  readonly name: string;
  readonly quota: NamespaceQuota | KeyQuota;
  readonly usage: () => Promise<NamespaceUsage>;
};

/**
 * Runs a statement that may add to what a namespace and a key use, with bytes that it stores; if a quota does not allow what it came to, it is as if it had
 * not run. Refusals: QUOTA_EXCEEDED.
 *
 * Counts are exact: changes of a namespace, or by a key, that has limits come one after the other. A change of a quota waits for those that are under way, and
 * holds for all that begin after it. Changes without limits do not wait for each other. Locks are taken in one order, that of the namespace before that of
 * the key, so that two changes never wait for each other.
 */
export function withinQuota<T extends readonly unknown[]>(sql: Sql, owners: Owners, bytes: Buffer, run: Staged<T>): Promise<T> {
  return transaction(sql, (on) =>
    withStaged(on, bytes, async (_, data) => {
      const limits = await limitsOf(on, owners);
      for (const { scope, name } of limits)
        await on`SELECT pg_advisory_xact_lock(hashtextextended(${`evenfall counts of ${scope === 'key' ? 'key ' : ''}${name}`}, 0))`;
      const before = await usagesOf(limits);
      const done = await run(on, data);
      if (done.length === 0) return done;
      const after = await usagesOf(limits);
      limits.forEach(({ scope, name, quota }, n) => {
        const [used, wanted] = [before[n], after[n]];
        const fault = used && wanted && quotaFault(quota, used, wanted);
        if (fault) throw refuse(fault.reason, { ...fault.metadata, scope, name, namespace: owners.namespace });
      });
      return done;
    }),
  );
}

/** The quotas that hold for a change and limit what is counted here. They do not change until the transaction ends. */
async function limitsOf(on: Sql, { namespace, keyId }: Owners): Promise<Limit[]> {
  const limits: Limit[] = [];
  await on`
    SELECT pg_advisory_xact_lock_shared(${quotaLock(on, DEFAULT_NAME)}), pg_advisory_xact_lock_shared(${quotaLock(on, namespace)})`;
  const [ofNamespace] = await on<{ data: Buffer }[]>`
    SELECT data FROM registry.namespace_quota WHERE namespace IN (${namespace}, ${DEFAULT_NAME})
    ORDER BY namespace = ${DEFAULT_NAME} LIMIT 1`;
  if (ofNamespace) {
    const quota = NamespaceQuota.decode(ofNamespace.data);
    limits.push({ scope: 'namespace', name: namespace, quota, usage: () => usageOf(on, namespace) });
  }
  if (keyId !== '') {
    await on`
      SELECT pg_advisory_xact_lock_shared(${keyQuotaLock(on, DEFAULT_NAME)}), pg_advisory_xact_lock_shared(${keyQuotaLock(on, keyId)})`;
    const [ofKey] = await on<{ data: Buffer }[]>`
      SELECT data FROM registry.key_quota WHERE key_id IN (${keyId}, ${DEFAULT_NAME}) ORDER BY key_id = ${DEFAULT_NAME} LIMIT 1`;
    if (ofKey) limits.push({ scope: 'key', name: keyId, quota: KeyQuota.decode(ofKey.data), usage: () => usageOfKey(on, keyId) });
  }
  return limits.filter(({ quota }) => limitsCounts(quota));
}

async function usagesOf(limits: readonly Limit[]): Promise<NamespaceUsage[]> {
  const usages: NamespaceUsage[] = [];
  for (const { usage } of limits) usages.push(await usage());
  return usages;
}

/** The number of the advisory lock that changes of a quota and of what it limits take. */
export function quotaLock(on: Sql, namespace: string): ReturnType<Sql> {
  return on`hashtextextended(${`evenfall quota of ${namespace}`}, 0)`;
}

/** The same of the quota of a key. No namespace has a blank in its name. */
export function keyQuotaLock(on: Sql, keyId: string): ReturnType<Sql> {
  return on`hashtextextended(${`evenfall quota of key ${keyId}`}, 0)`;
}

type UsageRow = { readonly functions: number; readonly versions: number; readonly code_bytes: string };

/** Counts what a namespace uses now. */
export async function usageOf(on: Sql, namespace: string): Promise<NamespaceUsage> {
  const [row] = await on<UsageRow[]>`
    SELECT count(*) FILTER (WHERE version = 0)::int AS functions, count(*) FILTER (WHERE version > 0)::int AS versions,
      (SELECT coalesce(sum(size), 0)::text FROM registry.code_package WHERE sha256 IN (
        SELECT code_sha256 FROM registry.function_version WHERE namespace = ${namespace})) AS code_bytes
    FROM registry.function_version WHERE namespace = ${namespace}`;
  return usageFrom(row);
}

/** Counts what was made with a key and is still there. */
export async function usageOfKey(on: Sql, keyId: string): Promise<KeyUsage> {
  const [row] = await on<UsageRow[]>`
    SELECT count(*) FILTER (WHERE version = 0)::int AS functions, count(*) FILTER (WHERE version > 0)::int AS versions,
      (SELECT coalesce(sum(size), 0)::text FROM registry.code_package WHERE sha256 IN (
        SELECT code_sha256 FROM registry.function_version WHERE code_by_key = ${keyId})) AS code_bytes
    FROM registry.function_version WHERE made_by_key = ${keyId}`;
  return usageFrom(row);
}

function usageFrom(row: UsageRow | undefined): NamespaceUsage {
  return { functions: row?.functions ?? 0, versions: row?.versions ?? 0, codeBytes: BigInt(row?.code_bytes ?? 0) };
}

/** Runs statements as one transaction: all of them or none. */
export async function transaction<T>(sql: Sql, run: (on: Sql) => Promise<T>): Promise<T> {
  const done = await sql.begin(async (within) => ({ result: await run(within as unknown as Sql) })); // within it the same calls are there
  return done.result;
}
