import { Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { part, type Sql } from '@evenfall/postgres';
import type { FoldChanges } from '../../domain/fold.ts';
import { createColumns } from './row-encoding.ts';

/** States of events that have dead letters: only these are looked up. */
const HAVE_LETTERS: readonly State[] = [State.FAILED, State.EXPIRED];

/** The part of the fold's statement that links redriven events; no text, and no work, for a fold without any. */
export function redrivenPart(redriven: FoldChanges['redriven']) {
  if (redriven.length === 0) return part``;
  const rows = createColumns(3);
  for (const { from, to, timeMs } of redriven) rows.add(from, to, timeMs);
  return part`, linked AS (
      INSERT INTO events.redriven (from_id, to_id, time)
      SELECT DISTINCT ON (r.from_id) r.from_id, r.to_id, to_timestamp(r.time_ms / 1000.0)
      FROM unnest(${rows.column(0)}::uuid[], ${rows.column(1)}::uuid[], ${rows.column(2)}::float8[]) AS r (from_id, to_id, time_ms)
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (from_id) DO NOTHING
    )`;
}

/** Says of events whose dead letters were redriven which events were made of them. Asks nothing unless one of them may have a dead letter. */
export async function withRedrivenTo<T extends Event>(sql: Sql, events: readonly T[]): Promise<readonly T[]> {
  const ids = events.filter(({ state }) => HAVE_LETTERS.includes(state)).map(({ id }) => id);
  if (ids.length === 0) return events;
  const rows = await sql<
    { from_id: string; to_id: string }[]
  >`SELECT from_id, to_id FROM events.redriven WHERE from_id = ANY(${ids}::uuid[])`;
  if (rows.length === 0) return events;
  const links = new Map(rows.map((row) => [row.from_id, row.to_id]));
  return events.map((event) => (links.has(event.id) ? { ...event, redrivenTo: links.get(event.id) } : event));
}

/** Bytes of an encoded event of a state, with the link behind them: fields of a message may be in any order. */
export function linkedData(state: State) {
  if (!HAVE_LETTERS.includes(state)) return part`data`;
  // Field 22, text of 36 bytes: the id of the event that was made of its dead letter.
  return part`data || coalesce((SELECT '\\xb20124'::bytea || convert_to(r.to_id::text, 'UTF8') FROM events.redriven r WHERE r.from_id = id), ''::bytea) AS data`;
}
