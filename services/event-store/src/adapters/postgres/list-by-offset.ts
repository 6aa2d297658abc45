import type { Event } from '@evenfall/contracts/v1/event';
import type { ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { ask, part, type Sql } from '@evenfall/postgres';
import type { NumberedPage } from '../../ports.ts';
import { countedEnded } from './count-events.ts';
import {
  endedStates,
  endRangeOf,
  eventOf,
  type EventRow,
  filterOf,
  isPlain,
  type Moment,
  openStates,
  orderOf,
  unionOf,
  within,
} from './event-filter.ts';

/**
 * One page by number, and the count of all. In one statement: an event that ends meanwhile is in one of the tables, and counted once. What is
 * asked for by function and state alone is not counted row by row: it was counted as it ended.
 */
export async function listByOffset(
  sql: Sql,
  query: ListEventsRequest,
  { offset, limit, eventId }: NumberedPage,
  moment: Moment,
): Promise<{ readonly events: readonly Event[]; readonly totalCount: number }> {
  const { direction, openKey, openOrder, endedKey } = orderOf(query);
  const one = eventId === undefined ? part`` : part`AND id = ${eventId}`;
  const upTo = offset + limit;
  const range = endRangeOf(query, moment);
  const open = openStates(query);
  const ended = endedStates(query);
  if (open.length + ended.length === 0) return { events: [], totalCount: 0 };
  const openCounts = open.map((state) => part`SELECT count(*) AS n FROM events.open_event WHERE ${filterOf(query, state)} ${one}`);
  const endedCounts =
    isPlain(query) && eventId === undefined
      ? [countedEnded(query.namespace, query.function, ended, moment.sinceMs)]
      : ended.map((state) => part`SELECT count(*) AS n FROM events.ended_event WHERE ${filterOf(query, state)} ${within(range)} ${one}`);
  // What lies before the page is passed by its keys alone: events may be large, keys are not.
  const keys = [
    ...open.map(
      (state) => part`
        (SELECT true AS is_open, ${openKey} AS key, id, NULL::timestamptz AS end_time FROM events.open_event WHERE ${filterOf(query, state)} ${one}
         ORDER BY ${openOrder} ${direction} LIMIT ${upTo})`,
    ),
    ...ended.map(
      (state) => part`
        (SELECT false AS is_open, ${endedKey} AS key, id, end_time FROM events.ended_event WHERE ${filterOf(query, state)} ${within(range)} ${one}
         ORDER BY ${endedKey} ${direction}, id ${direction} LIMIT ${upTo})`,
    ),
  ];
  const rows = await ask<EventRow & { readonly total: number }>(
    sql,
    part`
    WITH total AS (
      SELECT coalesce(sum(n), 0) AS total FROM (${unionOf([...openCounts, ...endedCounts])}) AS every
    ), page AS (
      SELECT is_open, key, id, end_time FROM (${unionOf(keys)}) AS every
      ORDER BY key ${direction}, id ${direction} LIMIT ${limit} OFFSET ${offset}
    )
    SELECT total.total::float8 AS total, page.is_open, coalesce(
      CASE WHEN page.is_open THEN (SELECT data FROM events.open_event o WHERE o.id = page.id)
           ELSE (SELECT data FROM events.ended_event e WHERE e.id = page.id AND e.end_time = page.end_time) END, ''::bytea) AS data
    FROM total LEFT JOIN page ON true
    ORDER BY page.key ${direction}, page.id ${direction}`,
  );
  return { events: rows.filter((row) => row.data.length > 0).map(eventOf), totalCount: rows[0]?.total ?? 0 };
}
