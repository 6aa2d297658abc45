import type { Sql } from '@evenfall/postgres';
import type { GrantKeyStore } from '../../ports.ts';
import { guarded } from './function-store.ts';

type Row = { readonly id: string; readonly create_time: Date; readonly secret: Buffer; readonly is_sealed: boolean };

/** Keeps the keys of grants in Postgres. */
export function createGrantKeyStore(sql: Sql): GrantKeyStore {
  return {
    list: () =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT id, create_time, secret, is_sealed FROM registry.grant_key ORDER BY create_time DESC, id DESC LIMIT 100`;
        return rows.map(({ id, create_time: createTime, secret, is_sealed: isSealed }) => ({ id, createTime, secret, isSealed }));
      }),
    insert: ({ id, createTime, secret, isSealed }, before) =>
      guarded(async () => {
        await sql`
          WITH gone AS (DELETE FROM registry.grant_key WHERE create_time < ${before})
          INSERT INTO registry.grant_key (id, create_time, secret, is_sealed) VALUES (${id}, ${createTime}, ${secret}, ${isSealed})`;
      }),
    reseal: ({ id, secret }) =>
      guarded(async () => {
        await sql`UPDATE registry.grant_key SET secret = ${secret}, is_sealed = true WHERE id = ${id}`;
      }),
  };
}
