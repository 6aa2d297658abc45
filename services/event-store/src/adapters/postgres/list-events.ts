import { Event, Event_State as State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest_Order as Order,
  ListEventsRequest_OrderBy as OrderBy,
  type ListEventsRequest,
} from '@evenfall/contracts/v1/event_service';
import { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Sql } from '@evenfall/postgres';
import type { PageKey } from '../../domain/page-token.ts';
import type { NumberedPage } from '../../ports.ts';

/** One page by keyset: each table gives its own first rows from an index, and the better ones win. */
export async function listEvents(
  sql: Sql,
  query: ListEventsRequest,
  after: PageKey | undefined,
  limit: number,
  since: string,
): Promise<readonly Event[]> {
  const { byEnd, beyond, direction, openKey, endedKey, openRows, endedRows } = partsOf(sql, query, since);
  const afterTime = after && (after.timeMs === null ? 'infinity' : new Date(after.timeMs).toISOString());
  // By way of text: as a timestamptz the driver would make a Date of it, and there is none of infinity.
  const last = after && afterTime ? sql`(${afterTime}::text::timestamptz, ${after.id}::uuid)` : undefined;
  const rows = await sql<Row[]>`
    SELECT is_open, data FROM (
      (SELECT true AS is_open, ${openKey} AS key, id, data ${openRows}
       ${last ? sql`AND (${openKey}, id) ${beyond} ${last}` : sql``} ORDER BY ${byEnd ? sql`id` : sql`sort_time ${direction}, id`} ${direction} LIMIT ${limit})
      UNION ALL
      (SELECT false, ${endedKey}, id, data ${endedRows}
       ${last ? sql`AND (${endedKey}, id) ${beyond} ${last}` : sql``} ORDER BY ${endedKey} ${direction}, id ${direction} LIMIT ${limit})
    ) both_tables
    ORDER BY key ${direction}, id ${direction} LIMIT ${limit}`;
  return rows.map(eventOf);
}

/** One page by number, and the count of all. In one statement: an event that ends meanwhile is in one of the tables, and counted once. */
export async function listByOffset(
  sql: Sql,
  query: ListEventsRequest,
  { offset, limit, eventId }: NumberedPage,
  since: string,
): Promise<{ readonly events: readonly Event[]; readonly totalCount: number }> {
  const { byEnd, direction, openKey, endedKey, openRows, endedRows } = partsOf(sql, query, since);
  const one = eventId === undefined ? sql`` : sql`AND id = ${eventId}`;
  const upTo = offset + limit;
  // What lies before the page is passed by its keys alone: events may be large, keys are not.
  const rows = await sql<(Row & { readonly total: number })[]>`
    WITH total AS (
      SELECT (SELECT count(*) ${openRows} ${one}) + (SELECT count(*) ${endedRows} ${one}) AS total
    ), page AS (
      SELECT is_open, key, id, end_time FROM (
        (SELECT true AS is_open, ${openKey} AS key, id, NULL::timestamptz AS end_time ${openRows} ${one}
         ORDER BY ${byEnd ? sql`id` : sql`sort_time ${direction}, id`} ${direction} LIMIT ${upTo})
        UNION ALL
        (SELECT false, ${endedKey}, id, end_time ${endedRows} ${one} ORDER BY ${endedKey} ${direction}, id ${direction} LIMIT ${upTo})
      ) both_tables
      ORDER BY key ${direction}, id ${direction} LIMIT ${limit} OFFSET ${offset}
    )
    SELECT total.total::int AS total, page.is_open, coalesce(
      CASE WHEN page.is_open THEN (SELECT data FROM events.open_event o WHERE o.id = page.id)
           ELSE (SELECT data FROM events.ended_event e WHERE e.id = page.id AND e.end_time = page.end_time) END, ''::bytea) AS data
    FROM total LEFT JOIN page ON true
    ORDER BY page.key ${direction}, page.id ${direction}`;
  return { events: rows.filter((row) => row.data.length > 0).map(eventOf), totalCount: rows[0]?.total ?? 0 };
}

type Row = { readonly is_open: boolean; readonly data: Buffer };

function eventOf(row: Row): Event {
  return row.is_open ? (StoredEvent.decode(row.data).event as Event) : Event.decode(row.data); // a stored event has one
}

/** What the questions have in common: which rows of each table match, and what they are ordered by. */
function partsOf(sql: Sql, query: ListEventsRequest, since: string) {
  const byEnd = query.orderBy === OrderBy.END_TIME;
  const descending = query.order !== Order.ASC;
  const states = query.states.length > 0 ? query.states : Object.values(State).filter((state) => state > 0);
  const wantsOpen = states.some((state) => state <= State.TERMINATING) && !query.endTimeAfter && !query.endTimeBefore;
  const wantsEnded = states.some((state) => state >= State.SUCCEEDED);
  const filter = sql`
    namespace = ${query.namespace} AND function = ${query.function} AND state = ANY(${states}::smallint[])
    ${query.qualifier === '' ? sql`` : sql`AND version = ${query.qualifier}`}
    ${query.trigger === '' ? sql`` : sql`AND trigger = ${query.trigger}`}
    ${query.startTimeAfter ? sql`AND sort_time >= ${query.startTimeAfter.toISOString()}` : sql``}
    ${query.startTimeBefore ? sql`AND sort_time < ${query.startTimeBefore.toISOString()}` : sql``}`;
  return {
    byEnd,
    direction: descending ? sql`DESC` : sql`ASC`,
    beyond: descending ? sql`<` : sql`>`,
    // Open events have no end: they order as if it were infinitely late.
    openKey: byEnd ? sql`'infinity'::timestamptz` : sql`sort_time`,
    endedKey: byEnd ? sql`end_time` : sql`sort_time`,
    openRows: sql`FROM events.open_event WHERE ${wantsOpen} AND ${filter}`,
    endedRows: sql`FROM events.ended_event WHERE ${wantsEnded} AND ${filter} AND end_time > ${since}
      ${query.endTimeAfter ? sql`AND end_time >= ${query.endTimeAfter.toISOString()}` : sql``}
      ${query.endTimeBefore ? sql`AND end_time < ${query.endTimeBefore.toISOString()}` : sql``}`,
  };
}
