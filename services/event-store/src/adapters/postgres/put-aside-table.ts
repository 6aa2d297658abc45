import type { Sql } from '@evenfall/postgres';
import type { PutAsideRow, PutAsideTable } from '../../ports.ts';

/** What is kept of a record's bytes. */
const DATA_BYTES = 64 * 1024;
const TEXT_LENGTH = 1_000;

type Row = {
  readonly partition: number;
  readonly record_offset: bigint;
  readonly event_id: string;
  readonly attempt: number;
  readonly change: string;
  readonly reason: string;
  readonly is_reduced: boolean;
  readonly put_time: Date;
  readonly put_micros: bigint;
  readonly data_bytes: number;
};

/** The records that were put aside, in Postgres. */
export function createPutAsideTable(sql: Sql): PutAsideTable {
  return {
    async add({ partition, offset, eventId, attempt, change, reason, isReduced, data }: PutAsideRow) {
      await sql`
        INSERT INTO events.put_aside (partition, record_offset, event_id, attempt, change, reason, is_reduced, data, data_bytes)
        VALUES (${partition}, ${String(offset)}::bigint, ${textOf(eventId)}, ${attempt}, ${textOf(change)}, ${textOf(reason)}, ${isReduced},
          ${Buffer.from(data.subarray(0, DATA_BYTES))}, ${data.length})
        ON CONFLICT (partition, record_offset) DO UPDATE SET is_reduced = excluded.is_reduced, reason = excluded.reason`;
    },
    async remove(partition, offset) {
      await sql`DELETE FROM events.put_aside WHERE partition = ${partition} AND record_offset = ${String(offset)}::bigint`;
    },
    async newest(after, limit) {
      const time = after && sql`(timestamptz 'epoch' + ${String(after.putMicros)}::bigint * interval '1 microsecond')`;
      const behind =
        after && time
          ? sql`WHERE put_time < ${time} OR (put_time = ${time} AND (partition, record_offset) > (${after.partition}::int, ${String(after.offset)}::bigint))`
          : sql``;
      const rows = await sql<Row[]>`
        SELECT partition, record_offset, event_id, attempt, change, reason, is_reduced, put_time, data_bytes,
          (extract(epoch FROM put_time) * 1000000)::bigint AS put_micros
        FROM events.put_aside ${behind}
        ORDER BY put_time DESC, partition, record_offset LIMIT ${limit}`;
      return rows.map((row) => ({
        partition: row.partition,
        offset: Number(row.record_offset),
        eventId: row.event_id,
        attempt: row.attempt,
        change: row.change,
        reason: row.reason,
        isReduced: row.is_reduced,
        putTime: row.put_time,
        putMicros: row.put_micros,
        dataBytes: row.data_bytes,
      }));
    },
    async count() {
      const [row] = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM events.put_aside`;
      return row?.count ?? 0;
    },
  };
}

/** Postgres has no NUL in text. */
function textOf(text: string): string {
  return text.slice(0, TEXT_LENGTH).replaceAll('\0', '\uFFFD').toWellFormed();
}
