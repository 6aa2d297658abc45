import { AccessKey } from '@evenfall/contracts/v1/access_key_service';
import type { Sql } from '@evenfall/postgres';
import { goneTime } from '../../domain/access-key.ts';
import type { AccessKeyRow, AccessKeyStore } from '../../ports.ts';
import { guarded } from './function-store.ts';

/** The channel for changes of keys: the id. */
export const KEY_CHANNEL = 'evenfall_registry_key';

type Row = {
  readonly change: number;
  readonly data: Buffer;
  readonly secret_sha256: Buffer;
  readonly sealed: Buffer | null;
  readonly previous_sha256: Buffer | null;
  readonly previous_sealed: Buffer | null;
};

/** Keeps access keys in Postgres. Each call is one statement. */
export function createAccessKeyStore(sql: Sql): AccessKeyStore {
  return {
    find: (id) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT change, data, secret_sha256, sealed, previous_sha256, previous_sealed FROM registry.access_key WHERE id = ${id}`;
        return rows[0] && rowOf(rows[0]);
      }),

    list: (after, limit) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT change, data, secret_sha256, sealed, previous_sha256, previous_sealed FROM registry.access_key
          WHERE id > ${after} ORDER BY id LIMIT ${limit}`;
        return rows.map(rowOf);
      }),

    insert: (row, most) =>
      guarded(async () => {
        const { id } = row.key;
        const [found] = await sql<{ made: number; full: boolean }[]>`
          WITH counted AS (SELECT count(*) >= ${most}::int AS "full" FROM registry.access_key),
          made AS (
            INSERT INTO registry.access_key (id, data, secret_sha256, sealed, gone_time)
            SELECT ${id}, ${dataOf(row.key)}, ${row.secretSha256}, ${row.sealed ?? null}::bytea, ${goneTime(row.key) ?? null}::timestamptz
            FROM counted WHERE NOT "full"
            ON CONFLICT DO NOTHING RETURNING pg_notify(${KEY_CHANNEL}, ${id})
          )
          SELECT (SELECT count(*)::int FROM made) AS made, "full" FROM counted`;
        if (found?.made === 1) return 'made';
        return found?.full ? 'full' : 'exists';
      }),

    replace: (row) =>
      guarded(async () => {
        const { id } = row.key;
        const rows = await sql`
          UPDATE registry.access_key SET change = change + 1, data = ${dataOf(row.key)}, secret_sha256 = ${row.secretSha256},
            sealed = ${row.sealed ?? null}::bytea, previous_sha256 = ${row.previousSha256 ?? null}::bytea,
            previous_sealed = ${row.previousSealed ?? null}::bytea, gone_time = ${goneTime(row.key) ?? null}::timestamptz
          WHERE id = ${id} AND change = ${row.change}
          RETURNING pg_notify(${KEY_CHANNEL}, ${id})`;
        return rows.length > 0;
      }),

    sweep: (before) =>
      guarded(async () => {
        const { count } = await sql`DELETE FROM registry.access_key WHERE gone_time < ${before}`;
        return count;
      }),
  };
}

function rowOf(row: Row): AccessKeyRow {
  return {
    key: AccessKey.decode(row.data),
    change: row.change,
    secretSha256: row.secret_sha256,
    sealed: row.sealed ?? undefined,
    previousSha256: row.previous_sha256 ?? undefined,
    previousSealed: row.previous_sealed ?? undefined,
  };
}

function dataOf(key: AccessKey): Buffer {
  return Buffer.from(AccessKey.encode(key).finish());
}
