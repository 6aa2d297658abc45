import { NamespaceQuota, type NamespaceUsage } from '@evenfall/contracts/v1/quota_service';
import { refuse } from '@evenfall/errors';
import type { Sql } from '@evenfall/postgres';
import { DEFAULT_NAME, limitsCounts, quotaFault } from '../../domain/quota.ts';
import { type Staged, withStaged } from './staged-code.ts';

/**
 * Runs a statement that may add to what a namespace uses, with bytes that it stores; if the quota does not allow what it came to, it is as if it had not
 * run. Refusals: QUOTA_EXCEEDED.
 *
 * Counts are exact: changes of a namespace that has limits come one after the other. A change of a quota waits for those that are under way, and holds for
 * all that begin after it. Changes of namespaces without limits do not wait for each other.
 */
export function withinQuota<T extends readonly unknown[]>(sql: Sql, namespace: string, bytes: Buffer, run: Staged<T>): Promise<T> {
  return transaction(sql, (on) =>
    withStaged(on, bytes, async (_, data) => {
      await on`
        SELECT pg_advisory_xact_lock_shared(${quotaLock(on, DEFAULT_NAME)}), pg_advisory_xact_lock_shared(${quotaLock(on, namespace)})`;
      const [row] = await on<{ data: Buffer }[]>`
        SELECT data FROM registry.namespace_quota WHERE namespace IN (${namespace}, ${DEFAULT_NAME})
        ORDER BY namespace = ${DEFAULT_NAME} LIMIT 1`;
      const quota = row && NamespaceQuota.decode(row.data);
      if (!quota || !limitsCounts(quota)) return run(on, data);
      await on`SELECT pg_advisory_xact_lock(hashtextextended(${`evenfall counts of ${namespace}`}, 0))`;
      const before = await usageOf(on, namespace);
      const done = await run(on, data);
      const fault = done.length > 0 ? quotaFault(quota, before, await usageOf(on, namespace)) : undefined;
      if (fault) throw refuse(fault.reason, { ...fault.metadata, namespace });
      return done;
    }),
  );
}

/** The number of the advisory lock that changes of a quota and of what it limits take. */
export function quotaLock(on: Sql, namespace: string): ReturnType<Sql> {
  return on`hashtextextended(${`evenfall quota of ${namespace}`}, 0)`;
}

type UsageRow = { readonly functions: number; readonly versions: number; readonly code_bytes: string };

/** Counts what a namespace uses now. */
export async function usageOf(on: Sql, namespace: string): Promise<NamespaceUsage> {
  const [row] = await on<UsageRow[]>`
    SELECT count(*) FILTER (WHERE version = 0)::int AS functions, count(*) FILTER (WHERE version > 0)::int AS versions,
      (SELECT coalesce(sum(size), 0)::text FROM registry.code_package WHERE sha256 IN (
        SELECT code_sha256 FROM registry.function_version WHERE namespace = ${namespace})) AS code_bytes
    FROM registry.function_version WHERE namespace = ${namespace}`;
  return { functions: row?.functions ?? 0, versions: row?.versions ?? 0, codeBytes: BigInt(row?.code_bytes ?? 0) };
}

/** Runs statements as one transaction: all of them or none. */
export async function transaction<T>(sql: Sql, run: (on: Sql) => Promise<T>): Promise<T> {
  const done = await sql.begin(async (within) => ({ result: await run(within as unknown as Sql) })); // within it the same calls are there
  return done.result;
}
