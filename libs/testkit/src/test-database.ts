import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { createPool, type PostgresTarget, type Sql, startEmbeddedPostgres } from '@evenfall/postgres';
import { copyPostgresTemplate } from './postgres-template.ts';
import { tempDir } from './temp-dir.ts';

/** An empty database of a test's own, on a real server. */
export type TestDatabase = {
  readonly target: PostgresTarget;
  readonly sql: Sql;
  drop(): Promise<void>;
};

/** Makes a database on EVENFALL_TEST_POSTGRES_URL, or on a server started for this test file. */
export async function testDatabase(): Promise<TestDatabase> {
  const url = process.env['EVENFALL_TEST_POSTGRES_URL'];
  if (url) return onServer(url);
  const dir = tempDir('pg');
  copyPostgresTemplate(join(dir.path, 'server'));
  const server = await startEmbeddedPostgres({ dir: join(dir.path, 'server'), unsafeFast: true });
  const sql = createPool(server.target, { name: 'test' });
  return {
    target: server.target,
    sql,
    async drop() {
      await sql.end({ timeout: 1 });
      await server.stop();
      dir.remove();
    },
  };
}

async function onServer(url: string): Promise<TestDatabase> {
  const name = `evenfall_test_${randomBytes(6).toString('hex')}`;
  const admin = createPool({ kind: 'url', url }, { name: 'test admin', max: 1 });
  await admin.unsafe(`CREATE DATABASE ${name}`);
  const own = new URL(url);
  own.pathname = `/${name}`;
  const target: PostgresTarget = { kind: 'url', url: own.toString() };
  const sql = createPool(target, { name: 'test' });
  return {
    target,
    sql,
    async drop() {
      await sql.end({ timeout: 1 });
      await admin.unsafe(`DROP DATABASE ${name} WITH (FORCE)`);
      await admin.end();
    },
  };
}
