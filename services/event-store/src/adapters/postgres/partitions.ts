import type { Sql } from '@evenfall/postgres';
import type { Partitions } from '../../ports.ts';

const WIDTH_MS = 6 * 3_600_000;
const AHEAD_MS = 48 * 3_600_000;
const TABLES = ['ended_event', 'log_line', 'dead_letter'] as const;

/** How long each kind of row is kept, in milliseconds. */
export type Retention = { readonly eventsMs: number; readonly deadLettersMs: number };

/** Partitions of six hours, named by their lower bound in hours since the epoch. */
export function createPartitions(sql: Sql, retention: Retention): Partitions {
  const made = new Set<number>();
  const make = async (lower: number): Promise<void> => {
    if (made.has(lower)) return;
    const from = new Date(lower).toISOString();
    const to = new Date(lower + WIDTH_MS).toISOString();
    for (const table of TABLES) {
      await sql.unsafe(
        `CREATE TABLE IF NOT EXISTS events.${nameOf(table, lower)} PARTITION OF events.${table} FOR VALUES FROM ('${from}') TO ('${to}')`,
      );
    }
    made.add(lower);
  };
  return {
    async ensure(timesMs) {
      const lowers = new Set(timesMs.map(lowerOf));
      for (const lower of lowers) if (!made.has(lower)) await make(lower);
    },
    async maintain(nowMs) {
      for (let lower = lowerOf(nowMs); lower <= nowMs + AHEAD_MS; lower += WIDTH_MS) await make(lower);
      const rows = await sql<{ name: string }[]>`
        SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
        WHERE i.inhparent = ANY(${TABLES.map((table) => `events.${table}`)}::regclass[]) ORDER BY 1`;
      const dropped: string[] = [];
      for (const { name } of rows) {
        const lower = boundOf(name);
        const table = TABLES.find((one) => name.startsWith(`${one}_h`));
        const keptMs = table === 'dead_letter' ? retention.deadLettersMs : retention.eventsMs;
        if (lower === undefined || table === undefined || lower + WIDTH_MS > nowMs - keptMs) continue;
        // Detached first: the short lock on the parent is then not held while the files go.
        await sql.unsafe(`ALTER TABLE events.${table} DETACH PARTITION events.${name} CONCURRENTLY`);
        await sql.unsafe(`DROP TABLE events.${name}`);
        made.delete(lower);
        dropped.push(name);
      }
      return dropped;
    },
  };
}

function lowerOf(timeMs: number): number {
  return Math.floor(timeMs / WIDTH_MS) * WIDTH_MS;
}

function nameOf(table: string, lower: number): string {
  return `${table}_h${lower / 3_600_000}`;
}

function boundOf(name: string): number | undefined {
  const match = /_h(\d+)$/.exec(name);
  return match ? Number(match[1]) * 3_600_000 : undefined;
}
