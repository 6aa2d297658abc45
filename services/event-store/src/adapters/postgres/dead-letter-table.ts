import { Event } from '@evenfall/contracts/v1/event';
import type { DeadLetter } from '@evenfall/contracts/v1/event_service';
import type { Sql } from '@evenfall/postgres';
import { PAGE_BYTES } from '@evenfall/paging';
import type { DeadLetterTable } from '../../ports.ts';

type Row = { readonly data: Buffer; readonly payload: Buffer };

/** The dead letters in Postgres. */
export function createDeadLetterTable(sql: Sql, retentionMs: number): DeadLetterTable {
  const since = (): string => new Date(Date.now() - retentionMs).toISOString();
  return {
    async get(id) {
      const [row] = await sql<Row[]>`SELECT data, payload FROM events.dead_letter WHERE id = ${id} AND end_time > ${since()}`;
      return row && deadLetterOf(row);
    },
    async list(namespace, fn, before, limit) {
      const beyond = before ? sql`AND (end_time, id) < (${new Date(before.timeMs).toISOString()}, ${before.id}::uuid)` : sql``;
      const query = sql<Row[]>`
        SELECT data, payload FROM events.dead_letter
        WHERE namespace = ${namespace} AND function = ${fn} AND end_time > ${since()} ${beyond}
        ORDER BY end_time DESC, id DESC LIMIT ${limit + 1}`;
      const letters: DeadLetter[] = [];
      let bytes = 0;
      for await (const rows of query.cursor(20)) {
        for (const row of rows) {
          bytes += row.data.length + row.payload.length;
          if (letters.length >= limit || (letters.length > 0 && bytes > PAGE_BYTES)) return { letters, hasMore: true };
          letters.push(deadLetterOf(row));
        }
      }
      return { letters, hasMore: false };
    },
  };
}

function deadLetterOf({ data, payload }: Row): DeadLetter {
  return { event: Event.decode(data), payload };
}
