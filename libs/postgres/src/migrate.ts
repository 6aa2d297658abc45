import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Sql } from './sql.ts';

export type MigrateOptions = {
  /** Schema the service owns; made if missing. Lower-case letters and underscores. */
  readonly schema: string;
  /** Folder of `0001_name.sql`, `0002_…`; forward only. */
  readonly dir: URL;
};

/**
 * Brings a schema up to date. Two replicas may start at once: an advisory lock lets one work and the other find it done.
 * Each file runs in one transaction with the note that it ran.
 */
export async function migrate(sql: Sql, options: MigrateOptions): Promise<void> {
  const { schema } = options;
  if (!/^[a-z_]+$/.test(schema)) throw new Error(`Not a schema name: ${schema}`);
  const dir = fileURLToPath(options.dir);
  const files = (await readdir(dir)).filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name)).sort();
  const connection = await sql.reserve();
  try {
    await connection.unsafe('SET statement_timeout = 0'); // an index on what is there may take long
    await connection`SELECT pg_advisory_lock(hashtextextended(${`evenfall migrate ${schema}`}, 0))`;
    // Asked first: who may not make schemas is refused even where there is one.
    const [there] = await connection`SELECT 1 FROM pg_namespace WHERE nspname = ${schema}`;
    const schemaExists = there !== undefined;
    await connection.unsafe(`
      ${schemaExists ? '' : `CREATE SCHEMA ${schema};`}
      CREATE TABLE IF NOT EXISTS ${schema}.migration (number int PRIMARY KEY, name text NOT NULL, run_time timestamptz NOT NULL DEFAULT now())`);
    const done = await connection.unsafe<{ number: number }[]>(`SELECT number FROM ${schema}.migration`);
    const ran = new Set(done.map((row) => row.number));
    for (const name of files) {
      const number = Number(name.slice(0, 4));
      if (ran.has(number)) continue;
      const text = await readFile(join(dir, name), 'utf8');
      // One simple-protocol message is one transaction: all of the file and its note, or none.
      await connection.unsafe(
        `SET search_path TO ${schema}; ${text}; INSERT INTO ${schema}.migration VALUES (${number}, '${name}'); RESET search_path`,
      );
    }
  } finally {
    await connection`SELECT pg_advisory_unlock(hashtextextended(${`evenfall migrate ${schema}`}, 0))`.catch(() => undefined);
    await connection.unsafe('RESET statement_timeout').catch(() => undefined);
    connection.release();
  }
}
