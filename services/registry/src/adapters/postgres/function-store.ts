import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { refuse } from '@evenfall/errors';
import { instanceBounds, LATEST_NUMBER, versionName } from '@evenfall/function-model';
import { postgresRefusal, type Sql } from '@evenfall/postgres';
import { type OpenedFunction, openSecrets, sealSecrets } from '../../domain/function-secrets.ts';
import type { CodePackage, FunctionStore } from '../../ports.ts';
import type { Sealing } from '../../domain/sealing.ts';
import { withinQuota } from './within-quota.ts';

/** The channel for changes of functions: "namespace/name". */
export const CHANGE_CHANNEL = 'evenfall_registry_change';

const NOTHING = Buffer.alloc(0);

export type Row = { readonly data: Buffer; readonly version: number; readonly revision: number; readonly sealed: Buffer | null };

/** Keeps functions in Postgres. */
export function createFunctionStore(sql: Sql, sealing: Sealing | undefined): FunctionStore {
  const messageOf = (row: Row): FunctionMessage => functionOf(row, sealing).fn;
  const none = { sha256: null, data: NOTHING };
  return {
    count: () =>
      guarded(async () => {
        const [row] = await sql<
          { count: number }[]
        >`SELECT count(*)::int AS count FROM registry.function_version WHERE version = ${LATEST_NUMBER}`;
        return row?.count ?? 0;
      }),

    find: (namespace, name, version) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT data, version, revision, sealed FROM registry.function_version
          WHERE namespace = ${namespace} AND name = ${name} AND version IN (${LATEST_NUMBER}, ${version})`;
        const row = rows.find((one) => one.version === version);
        const opened = row && functionOf(row, sealing);
        return { found: opened?.fn, isLocked: opened?.isLocked ?? false, exists: rows.length > 0 };
      }),

    list: (namespace, filter, after, limit) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT data, version, revision, sealed FROM registry.function_version
          WHERE namespace = ${namespace} AND version = ${LATEST_NUMBER} AND name COLLATE "C" > ${after}
            AND position(lower(${filter}) in lower(name)) > 0
          ORDER BY name COLLATE "C" LIMIT ${limit}`;
        return rows.map(messageOf);
      }),

    listVersions: (namespace, name, before, limit) =>
      guarded(async () => {
        const rows = await sql<Row[]>`
          SELECT data, version, revision, sealed FROM registry.function_version
          WHERE namespace = ${namespace} AND name = ${name} AND version > ${LATEST_NUMBER} AND version < ${before}
          ORDER BY version DESC LIMIT ${limit}`;
        return rows.map(messageOf);
      }),

    insert: (fn, code, keyId) =>
      guarded(async () => {
        const { sha256, data: zip } = code ?? none;
        const { data, sealed } = bytesOf(fn, sealing);
        const madeBy = keyId === '' ? null : keyId;
        const codeBy = code ? madeBy : null;
        const rows = await withinQuota(
          sql,
          { namespace: fn.namespace, keyId },
          zip,
          async (on, bytes) => on<Row[]>`
          WITH made AS (
            INSERT INTO registry.function_version (namespace, name, version, revision, data, sealed, code_sha256, made_by_key, code_by_key)
            VALUES (${fn.namespace}, ${fn.name}, ${LATEST_NUMBER}, nextval('registry.revision'), ${data}, ${sealed}::bytea, ${sha256}, ${madeBy}, ${codeBy})
            ON CONFLICT DO NOTHING RETURNING data, version, revision, sealed
          ), package AS (
            INSERT INTO registry.code_package (sha256, size, data)
            SELECT ${sha256}::text, ${zip.length}, ${bytes} FROM made WHERE ${sha256}::text IS NOT NULL
            ON CONFLICT DO NOTHING
          )
          SELECT data, version, revision, sealed, pg_notify(${CHANGE_CHANNEL}, ${nameOf(fn)}) FROM made`,
        );
        return rows[0] && messageOf(rows[0]);
      }),

    replace: (fn, code, keyId) => guarded(() => replace(sql, fn, code, { sealing, keyId })),

    publish: (fn, keyId) =>
      guarded(async () => {
        const { data, sealed } = bytesOf(fn, sealing);
        const rows = await withinQuota(
          sql,
          { namespace: fn.namespace, keyId },
          NOTHING,
          async (on) => on<Row[]>`
          WITH latest AS (
            SELECT code_sha256, code_by_key, (SELECT max(version) + 1 FROM registry.function_version WHERE namespace = ${fn.namespace} AND name = ${fn.name}) AS next
            FROM registry.function_version
            WHERE namespace = ${fn.namespace} AND name = ${fn.name} AND version = ${LATEST_NUMBER} AND revision = ${fn.revision}
          ), made AS (
            INSERT INTO registry.function_version (namespace, name, version, revision, data, sealed, code_sha256, made_by_key, code_by_key)
            SELECT ${fn.namespace}, ${fn.name}, next, nextval('registry.revision'), ${data}, ${sealed}::bytea, code_sha256,
              ${keyId === '' ? null : keyId}::text, code_by_key
            FROM latest
            ON CONFLICT DO NOTHING RETURNING data, version, revision, sealed
          )
          SELECT data, version, revision, sealed, pg_notify(${CHANGE_CHANNEL}, ${nameOf(fn)}) FROM made`,
        );
        return rows[0] && messageOf(rows[0]);
      }),

    delete: (namespace, name) =>
      guarded(async () => {
        const rows = await sql`
          WITH gone AS (
            DELETE FROM registry.function_version WHERE namespace = ${namespace} AND name = ${name} RETURNING code_sha256
          ), swept AS (
            DELETE FROM registry.code_package p WHERE p.sha256 IN (SELECT code_sha256 FROM gone) AND NOT EXISTS (
              SELECT FROM registry.function_version v WHERE v.code_sha256 = p.sha256 AND (v.namespace, v.name) <> (${namespace}, ${name}))
          )
          SELECT pg_notify(${CHANGE_CHANNEL}, ${`${namespace}/${name}`}) FROM gone LIMIT 1`;
        return rows.length > 0;
      }),

    readCode: (sha256, offset, bytes) =>
      guarded(async () => {
        const rows = await sql<{ piece: Buffer }[]>`
          SELECT substring(data from ${offset + 1} for ${bytes}) AS piece FROM registry.code_package WHERE sha256 = ${sha256}`;
        return rows[0]?.piece;
      }),
  };
}

/** Compare and set: the row changes only while it is of the revision it was read at. A package that no version names any more is deleted with it. */
async function replace(
  sql: Sql,
  fn: FunctionMessage,
  code: CodePackage | undefined,
  { sealing, keyId }: { readonly sealing: Sealing | undefined; readonly keyId: string },
): Promise<FunctionMessage | undefined> {
  const { data, sealed } = bytesOf(fn, sealing);
  const sha256 = code?.sha256 ?? (fn.codeSha256 === '' ? null : fn.codeSha256);
  const zip = code?.data ?? NOTHING;
  const statement = (on: Sql, bytes: ReturnType<Sql>) => on<Row[]>`
    WITH old AS (
      SELECT code_sha256 FROM registry.function_version
      WHERE namespace = ${fn.namespace} AND name = ${fn.name} AND version = ${LATEST_NUMBER} AND revision = ${fn.revision}
    ), made AS (
      UPDATE registry.function_version SET data = ${data}, sealed = ${sealed}::bytea, code_sha256 = ${sha256},
        code_by_key = CASE WHEN ${code !== undefined} THEN ${keyId === '' ? null : keyId}::text ELSE code_by_key END,
        revision = nextval('registry.revision')
      WHERE namespace = ${fn.namespace} AND name = ${fn.name} AND version = ${LATEST_NUMBER} AND revision = ${fn.revision}
      RETURNING data, version, revision, sealed
    ), package AS (
      INSERT INTO registry.code_package (sha256, size, data)
      SELECT ${sha256}::text, ${zip.length}, ${bytes} FROM made WHERE ${code !== undefined}
      ON CONFLICT DO NOTHING
    ), swept AS (
      DELETE FROM registry.code_package p USING old, made
      WHERE p.sha256 = old.code_sha256 AND old.code_sha256 IS DISTINCT FROM ${sha256} AND NOT EXISTS (
        SELECT FROM registry.function_version v WHERE v.code_sha256 = p.sha256
          AND (v.namespace, v.name, v.version) <> (${fn.namespace}, ${fn.name}, ${LATEST_NUMBER}))
    )
    SELECT data, version, revision, sealed, pg_notify(${CHANGE_CHANNEL}, ${nameOf(fn)}) FROM made`;
  const rows = code
    ? await withinQuota(sql, { namespace: fn.namespace, keyId }, zip, async (on, bytes) => statement(on, bytes))
    : await statement(sql, sql`${zip}::bytea`);
  return rows[0] && functionOf(rows[0], sealing).fn;
}

/** A function as it is kept in a row, with its secrets. */
export function functionOf(row: Row, sealing: Sealing | undefined): OpenedFunction {
  const { fn, isLocked } = openSecrets({ fn: FunctionMessage.decode(row.data), sealed: row.sealed ?? undefined }, sealing);
  return { fn: { ...fn, ...instanceBounds(fn), version: versionName(row.version), revision: row.revision }, isLocked };
}

function bytesOf(fn: FunctionMessage, sealing: Sealing | undefined): { readonly data: Buffer; readonly sealed: Buffer | null } {
  const sealedFn = sealSecrets({ ...fn, version: '', revision: 0 }, sealing);
  return { data: Buffer.from(FunctionMessage.encode(sealedFn.fn).finish()), sealed: sealedFn.sealed ?? null };
}

function nameOf(fn: FunctionMessage): string {
  return `${fn.namespace}/${fn.name}`;
}

/** Another statement deleted the package, or used the version number, between the read and the write of this one. */
const RACES = new Set(['23503', '23505', '40001', '40P01']);
const MAX_TRIES = 5;

/** Runs a statement again that lost a race. Refusals: SERVICE_UNAVAILABLE. */
export async function guarded<T>(run: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await run();
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      if (typeof code !== 'string' || !RACES.has(code)) throw postgresRefusal(error, 'SERVICE_UNAVAILABLE');
      if (tries === MAX_TRIES) throw refuse('SERVICE_UNAVAILABLE', { detail: 'too many changes of one function at the same time' });
    }
  }
}
