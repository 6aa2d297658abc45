import { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { Sql } from '@evenfall/postgres';
import type { FunctionSecretStore, SecretRow } from '../../ports.ts';
import { guarded } from './function-store.ts';

type Row = {
  readonly namespace: string;
  readonly name: string;
  readonly version: number;
  readonly revision: number;
  readonly data: Buffer;
  readonly sealed: Buffer | null;
};

/** Reads and replaces what is kept of functions as it is kept. Each call is one statement. */
export function createFunctionSecretStore(sql: Sql): FunctionSecretStore {
  return {
    list: (after, limit) =>
      guarded(async () => {
        const { namespace, name, version } = after ?? { namespace: '', name: '', version: -1 };
        const rows = await sql<Row[]>`
          SELECT namespace, name, version, revision, data, sealed FROM registry.function_version
          WHERE (namespace, name, version) > (${namespace}, ${name}, ${version}::int)
          ORDER BY namespace, name, version LIMIT ${limit}`;
        return rows.map(({ data, sealed, ...row }): SecretRow => ({
          ...row,
          kept: { fn: FunctionMessage.decode(data), sealed: sealed ?? undefined },
        }));
      }),
    replace: ({ namespace, name, version, revision, kept: before }, { fn, sealed }) =>
      guarded(async () => {
        const rows = await sql`
          UPDATE registry.function_version SET data = ${Buffer.from(FunctionMessage.encode(fn).finish())}, sealed = ${sealed ?? null}::bytea
          WHERE (namespace, name, version) = (${namespace}, ${name}, ${version}::int) AND revision = ${revision}
            AND sealed IS NOT DISTINCT FROM ${before.sealed ?? null}::bytea
          RETURNING version`;
        return rows.length > 0;
      }),
  };
}
