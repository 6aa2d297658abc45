import type { Sql } from '@evenfall/postgres';
import { KINDS, type Partition, partitionName, partitionNamed, type PartitionedTable } from '../../domain/retention.ts';
import { SPAN_MS, spanOf } from '../../domain/spans.ts';
import type { Partitions } from '../../ports.ts';

const TABLES = Object.keys(KINDS) as PartitionedTable[];

type Attached = { readonly name: string; readonly is_attached: boolean; readonly is_pending: boolean };

/** Partitions of six hours, named by their lower bound in hours since the epoch. */
export function createPartitions(sql: Sql): Partitions {
  const made = new Set<string>();

  // Created on its own and then attached: CREATE … PARTITION OF would lock out all readers and writers of the parent, and wait for those that run.
  const make = async (table: PartitionedTable, spanMs: number): Promise<void> => {
    const name = partitionName(table, spanMs);
    if (made.has(name)) return;
    const [from, to] = [new Date(spanMs).toISOString(), new Date(spanMs + SPAN_MS).toISOString()];
    await inTurn(sql, async (connection) => {
      const [there] = await connection<Attached[]>`${tables(connection)} AND c.relname = ${name}`;
      if (there?.is_attached !== true)
        await connection.unsafe(`
          CREATE TABLE IF NOT EXISTS events.${name} (LIKE events.${table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
          ALTER TABLE events.${table} ATTACH PARTITION events.${name} FOR VALUES FROM ('${from}') TO ('${to}')`);
    });
    made.add(name);
  };

  const drop = async ({ name, table }: Partition): Promise<void> => {
    await inTurn(sql, async (connection) => {
      const [there] = await connection<Attached[]>`${tables(connection)} AND c.relname = ${name}`;
      if (!there) return;
      // Detached first: the lock on the parent is then a weak one, and is not held while the files go. A detaching that was broken off is ended.
      if (there.is_pending) await connection.unsafe(`ALTER TABLE events.${table} DETACH PARTITION events.${name} FINALIZE`);
      else if (there.is_attached) await connection.unsafe(`ALTER TABLE events.${table} DETACH PARTITION events.${name} CONCURRENTLY`);
      await connection.unsafe(`DROP TABLE events.${name}`);
    });
    made.delete(name);
  };

  return {
    async ensure(timesMs) {
      const spans = new Set(timesMs.map(spanOf));
      if ([...spans].every((span) => TABLES.every((table) => made.has(partitionName(table, span))))) return;
      for (const row of await sql<Attached[]>`${tables(sql)}`) if (row.is_attached && !row.is_pending) made.add(row.name);
      for (const span of spans) for (const table of TABLES) await make(table, span);
    },
    async list() {
      const rows = await sql<Attached[]>`${tables(sql)} ORDER BY c.relname`;
      return rows.map(({ name }) => partitionNamed(name)).filter((one) => one !== undefined);
    },
    async describe(partitions) {
      const rows = await sql<{ name: string; rows: number; bytes: bigint }[]>`
        SELECT c.relname AS name, c.reltuples::float8 AS rows, pg_total_relation_size(c.oid) AS bytes FROM pg_class c
        WHERE c.relnamespace = 'events'::regnamespace AND c.relname = ANY(${partitions.map(({ name }) => name)}::text[])`;
      return new Map(rows.map((row) => [row.name, { rowEstimate: Math.round(row.rows), sizeBytes: row.bytes }]));
    },
    drop,
    async forgetBefore(beforeMs) {
      const before = new Date(beforeMs).toISOString();
      await sql`DELETE FROM events.ended_count WHERE from_time < ${before}`;
      await sql`DELETE FROM events.redriven WHERE time < ${before}`; // whose dead letter it was had ended before: that is no longer there
    },
    async lastRoundMs() {
      const [row] = await sql<{ at: number }[]>`SELECT (extract(epoch FROM round_time) * 1000)::float8 AS at FROM events.retention`;
      return row?.at;
    },
    async noteRound(nowMs) {
      await sql`
        INSERT INTO events.retention (round_time) VALUES (${new Date(nowMs).toISOString()})
        ON CONFLICT (is_only) DO UPDATE SET round_time = excluded.round_time`;
    },
  };
}

/** Every table that is a partition, was one, or was to become one. */
function tables(sql: Pick<Sql, 'unsafe'> & Sql) {
  return sql`
    SELECT c.relname AS name, i.inhrelid IS NOT NULL AS is_attached, coalesce(i.inhdetachpending, false) AS is_pending
    FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
    WHERE c.relnamespace = 'events'::regnamespace AND c.relkind = 'r' AND c.relname ~ '^(ended_event|log_line|dead_letter)_h[0-9]+$'`;
}

/** Lets one replica at a time make and drop partitions. On a connection of its own: detaching concurrently is not possible in a transaction. */
async function inTurn(sql: Sql, work: (connection: Sql) => Promise<void>): Promise<void> {
  const connection = (await sql.reserve()) as unknown as Sql; // the same tag, of one connection
  try {
    await connection.unsafe('SET statement_timeout = 0'); // who reads what goes is waited for
    await connection`SELECT pg_advisory_lock(hashtextextended('evenfall partitions', 0))`;
    await work(connection);
  } finally {
    await connection`SELECT pg_advisory_unlock(hashtextextended('evenfall partitions', 0))`.catch(() => undefined); // gone with its connection
    await connection.unsafe('RESET statement_timeout').catch(() => undefined);
    (connection as unknown as { release(): void }).release();
  }
}
