// deploy/postgres/roles.sql: a role for each service that keeps something in Postgres, in a new database and in one of an earlier release.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import { createPool, type EmbeddedPostgres, migrate, type Sql, startEmbeddedPostgres } from '@evenfall/postgres';
import { silentLog } from '@evenfall/telemetry';
import { tempDir } from '@evenfall/testkit';
import { fakeClock } from '@evenfall/time';
import { createPartitions } from '../../services/event-store/src/adapters/postgres/partitions.ts';
import { startRegistry } from '../../services/registry/src/service.ts';

const deployed = (name: string): string => readFileSync(new URL(`../../deploy/postgres/${name}`, import.meta.url), 'utf8');
const migrations = (service: string): URL => new URL(`../../services/${service}/migrations/`, import.meta.url);
const PASSWORDS = { password: 'of-all', registry_password: 'of-registry', event_store_password: 'of-event-store' };

describe('roles of services in Postgres', { timeout: 120_000 }, () => {
  const dir = tempDir('postgres-roles');
  let server: EmbeddedPostgres;
  const pools: Sql[] = [];
  before(async () => {
    server = await startEmbeddedPostgres({ dir: dir.path, unsafeFast: true });
  });
  after(async () => {
    for (const pool of pools) await pool.end();
    await server.stop();
    dir.remove();
  });
  const pool = (database: string, login: object = {}): Sql => {
    const made = createPool({ ...server.target, database, ...login } as EmbeddedPostgres['target'], { name: 'test', max: 4 });
    pools.push(made);
    return made;
  };
  const asRegistry = (database: string): Sql => pool(database, { user: 'evenfall_registry', password: PASSWORDS.registry_password });
  const asEventStore = (database: string): Sql =>
    pool(database, { user: 'evenfall_event_store', password: PASSWORDS.event_store_password });
  /** As psql does, as far as these files ask for it. */
  const run = async (sql: Sql, file: string): Promise<void> => {
    let text = deployed(file).replaceAll(/^--.*$/gm, '');
    for (const [name, value] of Object.entries(PASSWORDS)) text = text.replaceAll(`:'${name}'`, `'${value}'`);
    for (const part of text.split(/;\s*$|\\gexec\s*$/m)) {
      const statement = part.trim();
      if (statement === '') continue;
      const rows = await sql.unsafe<Record<string, string>[]>(statement);
      if (statement.startsWith('SELECT')) for (const row of rows) await sql.unsafe(Object.values(row)[0] ?? '');
    }
  };
  const denied = (answer: Promise<unknown>) => assert.rejects(answer, /permission denied|must be owner/);
  /** Both services do with their schema what they do, and reach nothing else. */
  const works = async (database: string): Promise<void> => {
    const [registry, events] = [asRegistry(database), asEventStore(database)];
    const running = await startRegistry({ sql: registry, log: silentLog, clock: fakeClock() }, {});
    await running.stop();
    await migrate(events, { schema: 'events', dir: migrations('event-store') });
    await createPartitions(events).ensure([Date.now(), Date.now() + 3_600_000]);
    await denied(registry`SELECT FROM events.open_event`);
    await denied(registry`DROP TABLE events.open_event`);
    await denied(events`SELECT FROM registry.access_key`);
    await denied(events`DELETE FROM registry.audit_record`);
    for (const sql of [registry, events]) {
      await denied(sql`CREATE SCHEMA more`);
      await denied(sql`CREATE TABLE public.more (n int)`);
      await denied(sql`CREATE ROLE more`);
      const [role] = await sql<{ super: boolean }[]>`SELECT rolsuper AS super FROM pg_roles WHERE rolname = current_user`;
      assert.equal(role?.super, false);
    }
  };

  it('own a schema each, and read no other', async () => {
    const admin = pool('postgres');
    await admin`CREATE DATABASE fresh`;
    await run(pool('fresh'), 'roles.sql');
    await works('fresh');
  });

  it('take over what one role for all owned, once or again', async () => {
    const admin = pool('postgres');
    await admin`CREATE DATABASE earlier`;
    const inside = pool('earlier');
    await run(inside, 'role.sql');
    const all = pool('earlier', { user: 'evenfall_app', password: PASSWORDS.password });
    await migrate(all, { schema: 'registry', dir: migrations('registry') });
    await migrate(all, { schema: 'events', dir: migrations('event-store') });
    await createPartitions(all).ensure([Date.now() - 3_600_000, Date.now()]);
    for (let again = 0; again < 2; again++) await run(inside, 'roles.sql');
    await works('earlier');
    const [left] = await inside<{ n: number }[]>`
      SELECT count(*)::int AS n FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('registry', 'events') AND pg_get_userbyid(c.relowner) = 'evenfall_app'`;
    assert.equal(left?.n, 0);
  });
});
