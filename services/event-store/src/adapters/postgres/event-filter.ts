import { Event, Event_State as State } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest_Order as Order,
  ListEventsRequest_OrderBy as OrderBy,
  type ListEventsRequest,
} from '@evenfall/contracts/v1/event_service';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { type Part, part, raw } from '@evenfall/postgres';
import { type EndRange, noEndFrom, spanFrom, spanOf } from '../../domain/spans.ts';

const ALL = Object.values(State).filter((state) => state > 0);
const OPEN: readonly State[] = [State.QUEUED, State.RUNNING, State.TERMINATING];

/** States that are asked for and kept in `open_event`. */
export function openStates(query: ListEventsRequest): readonly State[] {
  // What has not ended is in no range of ends.
  if (query.endTimeAfter || query.endTimeBefore) return [];
  return OPEN.filter((state) => query.states.length === 0 || query.states.includes(state));
}

/** States that are asked for and kept in `ended_event`. */
export function endedStates(query: ListEventsRequest): readonly State[] {
  return ALL.filter((state) => state >= State.SUCCEEDED && (query.states.length === 0 || query.states.includes(state)));
}

/** Whether nothing but namespace, function and states is asked for: what is counted as it happens. */
export function isPlain(query: ListEventsRequest): boolean {
  const { qualifier, trigger, startTimeAfter, startTimeBefore, endTimeAfter, endTimeBefore } = query;
  return qualifier === '' && trigger === '' && !startTimeAfter && !startTimeBefore && !endTimeAfter && !endTimeBefore;
}

/**
 * When a question is asked, since when ended events are kept, and when the span ends in which the latest of them did, in milliseconds since the epoch. A clock
 * that was ahead and was set right leaves events that have ended in time to come.
 */
export type Moment = { readonly nowMs: number; readonly sinceMs: number; readonly latestMs: number };

/** Ends that can match: within the retention, within what is asked for, and after the earliest start, which no end lies before. */
export function endRangeOf(query: ListEventsRequest, { nowMs, sinceMs, latestMs }: Moment): EndRange {
  const fromMs = Math.max(sinceMs, query.endTimeAfter?.getTime() ?? sinceMs, query.startTimeAfter?.getTime() ?? sinceMs);
  const toMs = Math.max(noEndFrom(nowMs), latestMs);
  return { fromMs, toMs: Math.min(toMs, query.endTimeBefore?.getTime() ?? toMs) };
}

/** Conditions of both tables. There is one state, as a literal in the text: the planner then uses the index with the state. */
export function filterOf(query: ListEventsRequest, state: State) {
  return part`
    namespace = ${query.namespace} AND function = ${query.function} AND state = ${raw(String(state))}
    ${query.qualifier === '' ? part`` : part`AND version = ${query.qualifier}`}
    ${query.trigger === '' ? part`` : part`AND trigger = ${query.trigger}`}
    ${startedIn(query.startTimeAfter, query.startTimeBefore)}`;
}

/** An event starts within six hours of its creation at the latest; and an hour is for clocks that differ. */
const LONGEST_WAIT_MS = 7 * 3_600_000;
const SKEW_MS = 3_600_000;

/** The condition on starts, and with it one on the creation, which is what the indexes are ordered by. Rows of before have the start in its place. */
function startedIn(after: Date | undefined, before: Date | undefined) {
  const start = part`coalesce(start_time, sort_time)`;
  const shifted = (time: Date, ms: number): string => new Date(time.getTime() + ms).toISOString();
  return part`
    ${after ? part`AND ${start} >= ${after.toISOString()} AND sort_time >= ${shifted(after, -LONGEST_WAIT_MS)}` : part``}
    ${before ? part`AND ${start} < ${before.toISOString()} AND sort_time < ${shifted(before, SKEW_MS)}` : part``}`;
}

/**
 * The condition of `ended_event` that lets whole partitions be left out. Edges of spans are literals in the text: the planner leaves partitions out, and knows
 * that nearly all rows of the others match. Times between are parameters, one by one: as a pair of bounds that are not known the planner takes
 * them for a narrow range, and sorts thousands of rows instead of following an index in its order.
 */
export function within({ fromMs, toMs }: EndRange) {
  const edge = (ms: number) => raw(`'${new Date(ms).toISOString()}'`);
  return part`
    AND end_time >= ${edge(spanOf(fromMs))} ${spanOf(fromMs) === fromMs ? part`` : part`AND (end_time >= ${new Date(fromMs).toISOString()}) IS TRUE`}
    AND end_time < ${edge(spanFrom(toMs))} ${spanFrom(toMs) === toMs ? part`` : part`AND (end_time < ${new Date(toMs).toISOString()}) IS TRUE`}`;
}

/** How a list is ordered. */
export function orderOf(query: ListEventsRequest) {
  const isDescending = query.order !== Order.ASC;
  const byEnd = query.orderBy === OrderBy.END_TIME;
  return {
    byEnd,
    isDescending,
    direction: isDescending ? part`DESC` : part`ASC`,
    beyond: isDescending ? part`<` : part`>`,
    // Open events have no end: they order as if it were infinitely late.
    openKey: byEnd ? part`'infinity'::timestamptz` : part`sort_time`,
    openOrder: byEnd ? part`id` : part`sort_time ${isDescending ? part`DESC` : part`ASC`}, id`,
    endedKey: byEnd ? part`end_time` : part`sort_time`,
  };
}

export type EventRow = { readonly is_open: boolean; readonly data: Buffer };

export function eventOf(row: EventRow): Event {
  return row.is_open ? (FoldedEvent.decode(row.data).event as Event) : Event.decode(row.data); // a stored event has one
}

/** The same as it is stored: that of an event that has ended need not be decoded. */
export function encodedEventOf(row: EventRow): Buffer {
  return row.is_open ? Buffer.from(Event.encode(eventOf(row)).finish()) : row.data;
}

/** Joins what is there with UNION ALL. */
export function unionOf(parts: readonly Part[]): Part {
  return parts.reduce((all, one) => part`${all} UNION ALL ${one}`);
}
