import type { ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { ask, part, type Sql } from '@evenfall/postgres';
import type { PageKey } from '../../domain/page-token.ts';
import { type EndRange, newestFirst } from '../../domain/spans.ts';
import type { FoundEvent } from '../../ports.ts';
import {
  endedStates,
  endRangeOf,
  encodedEventOf,
  type EventRow,
  filterOf,
  type Moment,
  openStates,
  orderOf,
  unionOf,
  within,
} from './event-filter.ts';
import { linkedData } from './redriven.ts';

type KeyedRow = EventRow & { readonly id: string; /** null for an end that has not come. */ readonly key_ms: number | null };

/** A page in one row: to take a hundred rows apart, each with a blob of its own in hexadecimal, took as long as to find them. */
type PackedPage = {
  /** Of all events, one after the other, in base64: a third less to carry than the hexadecimal of a bytea. Null for no event. */
  readonly data: string | null;
  /** A number, an id, a time or nothing, and 1 or 0 for each event, with commas between. */
  readonly lengths: string;
  readonly ids: string;
  readonly keys_ms: string;
  readonly are_open: string;
};

/**
 * One page by keyset. Every state gives its own first rows from an index, and the better ones win. By start and newest first, which is how lists
 * are read, older partitions are looked at only if the newer ones do not fill the page; by end Postgres itself stops where the page is full.
 */
export async function listEvents(
  sql: Sql,
  query: ListEventsRequest,
  after: PageKey | undefined,
  limit: number,
  moment: Moment,
): Promise<readonly FoundEvent[]> {
  const { byEnd, isDescending } = orderOf(query);
  const all = endRangeOf(query, moment);
  const pieces = byEnd || !isDescending ? [all] : newestFirst(all, moment.nowMs);
  let found: KeyedRow[] = [];
  for (const [i, piece] of pieces.entries()) {
    // Open events are asked for together with the newest ended ones: one that ends meanwhile is in one of the tables.
    const rows = await pageOf(sql, query, after, limit, piece, i === 0);
    found = i === 0 ? [...rows] : [...found, ...rows].sort(newerFirst).slice(0, limit);
    const last = found[limit - 1];
    if (last && (last.key_ms ?? 0) >= piece.fromMs) break;
  }
  return found.map((row) => ({ id: row.id, data: encodedEventOf(row), timeMs: row.key_ms }));
}

function newerFirst(a: KeyedRow, b: KeyedRow): number {
  const byTime = (b.key_ms ?? 0) - (a.key_ms ?? 0);
  if (byTime !== 0) return byTime;
  return a.id < b.id ? 1 : -1; // as Postgres orders uuids
}

async function pageOf(
  sql: Sql,
  query: ListEventsRequest,
  after: PageKey | undefined,
  limit: number,
  piece: EndRange,
  withOpen: boolean,
): Promise<readonly KeyedRow[]> {
  const { direction, beyond, openKey, openOrder, endedKey } = orderOf(query);
  const afterTime = after && (after.timeMs === null ? 'infinity' : new Date(after.timeMs).toISOString());
  // By way of text: as a timestamptz the driver would make a Date of it, and there is none of infinity.
  const last = after && afterTime ? part`(${afterTime}::text::timestamptz, ${after.id}::uuid)` : undefined;
  const open = (withOpen ? openStates(query) : []).map(
    (state) => part`
      (SELECT true AS is_open, ${openKey} AS key, id, data FROM events.open_event WHERE ${filterOf(query, state)}
       ${last ? part`AND (${openKey}, id) ${beyond} ${last}` : part``} ORDER BY ${openOrder} ${direction} LIMIT ${limit})`,
  );
  const ended = endedStates(query).map(
    (state) => part`
      (SELECT false AS is_open, ${endedKey} AS key, id, ${linkedData(state)} FROM events.ended_event WHERE ${filterOf(query, state)} ${within(piece)}
       ${last ? part`AND (${endedKey}, id) ${beyond} ${last}` : part``} ORDER BY ${endedKey} ${direction}, id ${direction} LIMIT ${limit})`,
  );
  // Behind the ended ones in ascending order: what has ended since the walk came here had no end then, and is in its place among those that have none.
  const late =
    withOpen && isBehindEnds(query, after) && openStates(query).length > 0
      ? endedStates(query).map(
          (state) => part`
      (SELECT false AS is_open, 'infinity'::timestamptz AS key, id, ${linkedData(state)} FROM events.ended_event WHERE ${filterOf(query, state)} ${within(piece)}
       AND id > ${after?.id ?? ''}::uuid ${since(after)} ORDER BY id LIMIT ${limit})`,
        )
      : [];
  const parts = [...open, ...(late.length > 0 ? late : ended)];
  if (parts.length === 0) return [];
  // Aggregates take the rows as a sorted subquery hands them over.
  const [page] = await ask<PackedPage>(
    sql,
    part`
    SELECT encode(string_agg(data, ''::bytea), 'base64') AS data, string_agg(length(data)::text, ',') AS lengths, string_agg(id::text, ',') AS ids,
      string_agg(CASE WHEN isfinite(key) THEN (extract(epoch FROM key) * 1000)::float8::text ELSE '' END, ',') AS keys_ms,
      string_agg(CASE WHEN is_open THEN '1' ELSE '0' END, ',') AS are_open
    FROM (
      SELECT is_open, id, data, key FROM (${unionOf(parts)}) AS every ORDER BY key ${direction}, id ${direction} LIMIT ${limit}
    ) AS page`,
  );
  return page ? unpacked(page) : [];
}

function isBehindEnds(query: ListEventsRequest, after: PageKey | undefined): boolean {
  const { byEnd, isDescending } = orderOf(query);
  return byEnd && !isDescending && after?.timeMs === null;
}

function since(after: PageKey | undefined) {
  const ended = after?.ended;
  return ended ? part`AND (end_time, id) > (${new Date(ended.timeMs).toISOString()}, ${ended.id}::uuid)` : part``;
}

function unpacked({ data, lengths, ids, keys_ms, are_open }: PackedPage): KeyedRow[] {
  if (!data) return [];
  const bytes = Buffer.from(data, 'base64');
  const [sizes, keys, open] = [lengths.split(','), keys_ms.split(','), are_open.split(',')];
  let at = 0;
  return ids.split(',').map((id, n) => {
    const from = at;
    at += Number(sizes[n]);
    return { id, data: bytes.subarray(from, at), key_ms: keys[n] === '' ? null : Number(keys[n]), is_open: open[n] === '1' };
  });
}
