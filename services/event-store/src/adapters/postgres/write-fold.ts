import { Event } from '@evenfall/contracts/v1/event';
import { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Sql } from '@evenfall/postgres';
import type { FoldChanges } from '../../domain/fold.ts';

const NOTHING = Buffer.alloc(0);

/**
 * Writes one fold in one statement: the offsets are compared and set, and everything else happens only if they were what was expected.
 * The bytes of all rows travel as one blob that the server cuts up, since postgres.js escapes an array of bytea byte by byte.
 */
export async function writeFold(sql: Sql, { moves, open, ended, closed }: FoldChanges): Promise<boolean> {
  const blob = createBlob();
  const openRows = open.map(({ stored, partition }) => {
    const event = stored.event as Event; // an open entry has one
    return {
      id: event.id,
      partition,
      namespace: event.namespace,
      function: event.function,
      version: event.version,
      trigger: event.trigger,
      state: event.state,
      sortTime: sortTimeOf(event),
      data: blob.add(StoredEvent.encode({ ...stored, payload: NOTHING }).finish()),
      payload: blob.add(stored.payload),
    };
  });
  const endedData = ended.map((event) => blob.add(Event.encode(event).finish()));
  const bytes = blob.bytes();
  const [row] = await sql<{ ok: boolean }[]>`
    WITH blob AS MATERIALIZED (
      SELECT ${bytes}::bytea AS bytes
    ), move AS (
      SELECT * FROM unnest(${moves.map((move) => move.partition)}::int[], ${moves.map((move) => move.from)}::bigint[], ${moves.map((move) => move.to)}::bigint[]) AS m (partition, from_offset, to_offset)
    ), locked AS (
      SELECT a.partition FROM events.applied a JOIN move m ON m.partition = a.partition AND m.from_offset = a.end_offset ORDER BY a.partition FOR UPDATE OF a
    ), checked AS (
      SELECT (SELECT count(*) FROM locked) = ${moves.length}::int AS ok
    ), moved AS (
      UPDATE events.applied a SET end_offset = m.to_offset FROM move m WHERE a.partition = m.partition AND (SELECT ok FROM checked)
    ), opened AS (
      INSERT INTO events.open_event (id, partition, namespace, function, version, trigger, state, sort_time, data, payload)
      SELECT id, partition, namespace, function, version, trigger, state, to_timestamp(sort_ms / 1000.0),
        substring(bytes FROM data_at FOR data_length), substring(bytes FROM payload_at FOR payload_length)
      FROM blob, unnest(
        ${openRows.map((r) => r.id)}::uuid[], ${openRows.map((r) => r.partition)}::int[], ${openRows.map((r) => r.namespace)}::text[],
        ${openRows.map((r) => r.function)}::text[], ${openRows.map((r) => r.version)}::text[], ${openRows.map((r) => r.trigger)}::text[],
        ${openRows.map((r) => r.state)}::smallint[], ${openRows.map((r) => r.sortTime)}::float8[],
        ${openRows.map((r) => r.data.at)}::int[], ${openRows.map((r) => r.data.length)}::int[],
        ${openRows.map((r) => r.payload.at)}::int[], ${openRows.map((r) => r.payload.length)}::int[]
      ) AS o (id, partition, namespace, function, version, trigger, state, sort_ms, data_at, data_length, payload_at, payload_length)
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (id) DO UPDATE SET state = excluded.state, sort_time = excluded.sort_time, data = excluded.data
    ), closed AS (
      DELETE FROM events.open_event WHERE id = ANY(${[...closed]}::uuid[]) AND (SELECT ok FROM checked)
    ), ended AS (
      INSERT INTO events.ended_event (id, namespace, function, version, trigger, state, sort_time, end_time, data)
      SELECT id, namespace, function, version, trigger, state, to_timestamp(sort_ms / 1000.0), to_timestamp(end_ms / 1000.0), substring(bytes FROM data_at FOR data_length)
      FROM blob, unnest(
        ${ended.map((e) => e.id)}::uuid[], ${ended.map((e) => e.namespace)}::text[], ${ended.map((e) => e.function)}::text[],
        ${ended.map((e) => e.version)}::text[], ${ended.map((e) => e.trigger)}::text[], ${ended.map((e) => e.state)}::smallint[],
        ${ended.map(sortTimeOf)}::float8[], ${ended.map((e) => e.endTime?.getTime() ?? 0)}::float8[],
        ${endedData.map((d) => d.at)}::int[], ${endedData.map((d) => d.length)}::int[]
      ) AS e (id, namespace, function, version, trigger, state, sort_ms, end_ms, data_at, data_length)
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (id, end_time) DO NOTHING
    )
    SELECT ok FROM checked`;
  return row?.ok ?? false;
}

/** Start of the first attempt; creation while there is none. */
function sortTimeOf(event: Event): number {
  return (event.startTime ?? event.createTime)?.getTime() ?? 0;
}

type Slice = { readonly at: number; readonly length: number };

function createBlob(): { add(bytes: Uint8Array): Slice; bytes(): Buffer } {
  const parts: Uint8Array[] = [];
  let length = 0;
  return {
    add(bytes) {
      parts.push(bytes);
      length += bytes.length;
      return { at: length - bytes.length + 1, length: bytes.length };
    },
    bytes: () => Buffer.concat(parts, length),
  };
}
