import type { Event_State as State } from '@evenfall/contracts/v1/event';
import type { EventCount, ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import { ask, part, raw, type Sql } from '@evenfall/postgres';
import { SPAN_MS, spanFrom, spanOf } from '../../domain/spans.ts';
import type { TotalSize } from '../../ports.ts';
import { endedStates, endRangeOf, filterOf, isPlain, type Moment, openStates, unionOf, within } from './event-filter.ts';

/** Up to here matches are counted one by one. */
const EXACT = 10_000;
/** Newest events of a state that are looked at to learn what share of them has a version or a trigger. */
const SAMPLE = 2_500;

const iso = (ms: number): string => new Date(ms).toISOString();

/** How many events of one function ended in these states and are still kept: counted as they ended, but for the oldest span, which is half gone. */
export function countedEnded(namespace: string, fn: string, states: readonly State[], sinceMs: number) {
  const whole = iso(spanFrom(sinceMs));
  const oldest = states.map(
    (state) => part`
      SELECT count(*) AS n FROM events.ended_event WHERE namespace = ${namespace} AND function = ${fn} AND state = ${raw(String(state))}
        AND end_time >= ${iso(sinceMs)} AND end_time < ${whole}`,
  );
  const counted = part`
    SELECT coalesce(sum(events), 0)::bigint AS n FROM events.ended_count
    WHERE namespace = ${namespace} AND function = ${fn} AND state = ANY(${[...states]}::smallint[]) AND from_time >= ${whole}`;
  return unionOf([counted, ...oldest]);
}

/** Counts by function and state, of one function or of a whole namespace, as of one moment. */
export async function countEvents(sql: Sql, namespace: string, fn: string, sinceMs: number): Promise<readonly EventCount[]> {
  const whole = iso(spanFrom(sinceMs));
  const these = fn === '' ? part`namespace = ${namespace}` : part`namespace = ${namespace} AND function = ${fn}`;
  const rows = await ask<{ function: string; state: number; n: bigint }>(
    sql,
    part`
    SELECT function, state, sum(n)::bigint AS n FROM (
      SELECT function, state, events AS n FROM events.ended_count WHERE ${these} AND from_time >= ${whole}
      UNION ALL SELECT function, state, count(*) FROM events.ended_event
        WHERE ${these} AND end_time >= ${iso(sinceMs)} AND end_time < ${whole} GROUP BY 1, 2
      UNION ALL SELECT function, state, count(*) FROM events.open_event WHERE ${these} GROUP BY 1, 2
    ) AS every GROUP BY 1, 2 ORDER BY 1, 2`,
  );
  return rows.map((row) => ({ function: row.function, state: row.state as State, count: row.n })); // the columns hold what State allows
}

/** How many events match: exact where they were counted as they happened, or are few; else an estimate. */
export async function totalSizeOf(sql: Sql, query: ListEventsRequest, moment: Moment): Promise<TotalSize> {
  const open = openStates(query);
  const ended = endedStates(query);
  if (open.length + ended.length === 0) return { size: 0, isEstimate: false };
  if (isPlain(query)) {
    const wanted = new Set<number>([...open, ...ended]);
    const counts = await countEvents(sql, query.namespace, query.function, moment.sinceMs);
    return { size: counts.reduce((sum, { state, count }) => sum + (wanted.has(state) ? Number(count) : 0), 0), isEstimate: false };
  }
  const range = endRangeOf(query, moment);
  const some = [
    ...open.map((state) => part`(SELECT 1 FROM events.open_event WHERE ${filterOf(query, state)} LIMIT ${EXACT + 1})`),
    ...ended.map((state) => part`(SELECT 1 FROM events.ended_event WHERE ${filterOf(query, state)} ${within(range)} LIMIT ${EXACT + 1})`),
  ];
  const [row] = await ask<{ n: number }>(
    sql,
    part`SELECT count(*)::int AS n FROM (SELECT FROM (${unionOf(some)}) AS every LIMIT ${EXACT + 1}) AS first`,
  );
  const counted = row?.n ?? 0;
  if (counted <= EXACT) return { size: counted, isEstimate: false };
  const sizes = await Promise.all(ended.map((state) => estimateOf(sql, query, state, moment)));
  return { size: Math.max(counted, Math.round(sizes.reduce((sum, size) => sum + size, 0))), isEstimate: true };
}

/** What ended in the spans that are asked for, in part where a span is asked for in part, times the share of its newest that match the rest. */
async function estimateOf(sql: Sql, query: ListEventsRequest, state: State, moment: Moment): Promise<number> {
  const { fromMs, toMs } = endRangeOf(query, moment);
  const upToMs = Math.min(toMs, query.startTimeBefore?.getTime() ?? toMs); // most events end soon after they have started
  const spans = await ask<{ from_ms: number; events: number }>(
    sql,
    part`
    SELECT (extract(epoch FROM from_time) * 1000)::float8 AS from_ms, events::float8 AS events FROM events.ended_count
    WHERE namespace = ${query.namespace} AND function = ${query.function} AND state = ${state} AND from_time >= ${iso(spanOf(fromMs))}`,
  );
  let sum = 0;
  for (const { from_ms: at, events } of spans)
    sum += events * Math.max(0, (Math.min(at + SPAN_MS, upToMs) - Math.max(at, fromMs)) / SPAN_MS);
  if (query.qualifier === '' && query.trigger === '') return sum;
  const [sample] = await ask<{ share: number | null }>(
    sql,
    part`
    SELECT avg((${query.qualifier === '' ? part`true` : part`version = ${query.qualifier}`} AND ${query.trigger === '' ? part`true` : part`trigger = ${query.trigger}`})::int)::float8 AS share
    FROM (SELECT version, trigger FROM events.ended_event WHERE namespace = ${query.namespace} AND function = ${query.function} AND state = ${raw(String(state))}
      ${within(endRangeOf(query, moment))} ORDER BY end_time DESC LIMIT ${SAMPLE}) AS newest`,
  );
  return sum * (sample?.share ?? 0);
}
