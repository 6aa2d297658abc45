import type { Sql } from '@evenfall/postgres';
import type { Reservation } from '../../domain/concurrency.ts';
import { LATEST_NUMBER } from '@evenfall/function-model';
import type { Sealing } from '../../domain/sealing.ts';
import type { ConcurrencyStore } from '../../ports.ts';
import { CHANGE_CHANNEL, functionOf, guarded } from './function-store.ts';

type StateRow = {
  readonly change: string;
  readonly reservations: readonly Reservation[];
  readonly provisions: readonly {
    readonly version: number;
    readonly revision: number;
    readonly instances: number;
    readonly data: string;
    readonly sealed: string | null;
  }[];
};

/** Keeps what is reserved and provisioned in Postgres, beside the functions. Each call is one statement. */
export function createConcurrencyStore(sql: Sql, sealing: Sealing | undefined): ConcurrencyStore {
  return {
    read: () =>
      guarded(async () => {
        const [row] = await sql<StateRow[]>`
          SELECT number::text AS change,
            (SELECT coalesce(json_agg(json_build_object('namespace', namespace, 'name', name, 'memoryMb', memory_mb)), '[]')
              FROM registry.reserved_concurrency) AS reservations,
            (SELECT coalesce(json_agg(json_build_object('version', v.version, 'revision', v.revision,
                'instances', p.instances, 'data', encode(v.data, 'base64'), 'sealed', encode(v.sealed, 'base64')) ORDER BY v.namespace, v.name, v.version), '[]')
              FROM registry.provisioned_concurrency p JOIN registry.function_version v USING (namespace, name, version)) AS provisions
          FROM registry.concurrency_change`;
        const { change = '0', reservations = [], provisions = [] } = row ?? {};
        return {
          change: BigInt(change),
          reservations,
          provisions: provisions.map(({ version, revision, instances, data, sealed }) => {
            const row = {
              data: Buffer.from(data, 'base64'),
              sealed: sealed === null ? null : Buffer.from(sealed, 'base64'),
              version,
              revision,
            };
            const { fn, isLocked } = functionOf(row, sealing);
            return { namespace: fn.namespace, name: fn.name, version, instances, memoryMb: fn.memoryMb, fn, isLocked };
          }),
        };
      }),

    reserve: (since, { namespace, name, memoryMb }) =>
      guarded(async () => {
        const rows = await sql`
          WITH moved AS (
            UPDATE registry.concurrency_change SET number = number + 1 WHERE number = ${since.toString()}::bigint
              AND EXISTS (SELECT FROM registry.function_version WHERE (namespace, name, version) = (${namespace}, ${name}, ${LATEST_NUMBER}))
            RETURNING number
          ), put AS (
            INSERT INTO registry.reserved_concurrency (namespace, name, memory_mb) SELECT ${namespace}, ${name}, ${memoryMb}::int FROM moved
            ON CONFLICT (namespace, name) DO UPDATE SET memory_mb = excluded.memory_mb
          )
          SELECT pg_notify(${CHANGE_CHANNEL}, ${`${namespace}/${name}`}) FROM moved`;
        return rows.length > 0;
      }),

    release: (since, { namespace, name }) =>
      guarded(async () => {
        const rows = await sql`
          WITH moved AS (
            UPDATE registry.concurrency_change SET number = number + 1 WHERE number = ${since.toString()}::bigint RETURNING number
          ), gone AS (
            DELETE FROM registry.reserved_concurrency USING moved WHERE namespace = ${namespace} AND name = ${name}
          )
          SELECT pg_notify(${CHANGE_CHANNEL}, ${`${namespace}/${name}`}) FROM moved`;
        return rows.length > 0;
      }),

    provision: (since, { namespace, name, version, instances }) =>
      guarded(async () => {
        const rows = await sql`
          WITH moved AS (
            UPDATE registry.concurrency_change SET number = number + 1 WHERE number = ${since.toString()}::bigint
              AND EXISTS (SELECT FROM registry.function_version WHERE (namespace, name, version) = (${namespace}, ${name}, ${version}::int))
            RETURNING number
          ), put AS (
            INSERT INTO registry.provisioned_concurrency (namespace, name, version, instances)
            SELECT ${namespace}, ${name}, ${version}::int, ${instances}::int FROM moved WHERE ${instances}::int > 0
            ON CONFLICT (namespace, name, version) DO UPDATE SET instances = excluded.instances
          ), gone AS (
            DELETE FROM registry.provisioned_concurrency p USING moved
            WHERE ${instances}::int = 0 AND (p.namespace, p.name, p.version) = (${namespace}, ${name}, ${version}::int)
          )
          SELECT pg_notify(${CHANGE_CHANNEL}, ${`${namespace}/${name}`}) FROM moved`;
        return rows.length > 0;
      }),
  };
}
