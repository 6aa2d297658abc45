import { Event, Event_State as State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest_Order as Order,
  ListEventsRequest_OrderBy as OrderBy,
  type ListEventsRequest,
} from '@evenfall/contracts/v1/event_service';
import { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import type { Sql } from '@evenfall/postgres';
import type { PageKey } from '../../domain/page-token.ts';

/** One page by keyset: each table gives its own first rows from an index, and the better ones win. */
export async function listEvents(
  sql: Sql,
  query: ListEventsRequest,
  after: PageKey | undefined,
  limit: number,
  since: string,
): Promise<readonly Event[]> {
  const byEnd = query.orderBy === OrderBy.END_TIME;
  const descending = query.order !== Order.ASC;
  const states = query.states.length > 0 ? query.states : Object.values(State).filter((state) => state > 0);
  const wantsOpen = states.some((state) => state <= State.TERMINATING) && !query.endTimeAfter && !query.endTimeBefore;
  const wantsEnded = states.some((state) => state >= State.SUCCEEDED);
  const direction = descending ? sql`DESC` : sql`ASC`;
  const beyond = descending ? sql`<` : sql`>`;
  const filter = sql`
    namespace = ${query.namespace} AND function = ${query.function} AND state = ANY(${states}::smallint[])
    ${query.qualifier === '' ? sql`` : sql`AND version = ${query.qualifier}`}
    ${query.trigger === '' ? sql`` : sql`AND trigger = ${query.trigger}`}
    ${query.startTimeAfter ? sql`AND sort_time >= ${query.startTimeAfter.toISOString()}` : sql``}
    ${query.startTimeBefore ? sql`AND sort_time < ${query.startTimeBefore.toISOString()}` : sql``}`;
  // Open events have no end: they order as if it were infinitely late.
  const openKey = byEnd ? sql`'infinity'::timestamptz` : sql`sort_time`;
  const endedKey = byEnd ? sql`end_time` : sql`sort_time`;
  const afterTime = after && (after.timeMs === null ? 'infinity' : new Date(after.timeMs).toISOString());
  // By way of text: as a timestamptz the driver would make a Date of it, and there is none of infinity.
  const last = after && afterTime ? sql`(${afterTime}::text::timestamptz, ${after.id}::uuid)` : undefined;
  const rows = await sql<{ is_open: boolean; data: Buffer }[]>`
    SELECT is_open, data FROM (
      (SELECT true AS is_open, ${openKey} AS key, id, data FROM events.open_event
       WHERE ${wantsOpen} AND ${filter} ${last ? sql`AND (${openKey}, id) ${beyond} ${last}` : sql``} ORDER BY ${byEnd ? sql`id` : sql`sort_time ${direction}, id`} ${direction} LIMIT ${limit})
      UNION ALL
      (SELECT false, ${endedKey}, id, data FROM events.ended_event
       WHERE ${wantsEnded} AND ${filter} AND end_time > ${since}
       ${query.endTimeAfter ? sql`AND end_time >= ${query.endTimeAfter.toISOString()}` : sql``}
       ${query.endTimeBefore ? sql`AND end_time < ${query.endTimeBefore.toISOString()}` : sql``}
       ${last ? sql`AND (${endedKey}, id) ${beyond} ${last}` : sql``} ORDER BY ${endedKey} ${direction}, id ${direction} LIMIT ${limit})
    ) both_tables
    ORDER BY key ${direction}, id ${direction} LIMIT ${limit}`;
  return rows.map((row) => (row.is_open ? (StoredEvent.decode(row.data).event as Event) : Event.decode(row.data))); // a stored event has one
}
