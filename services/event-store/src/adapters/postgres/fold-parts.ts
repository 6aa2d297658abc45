import { Event } from '@evenfall/contracts/v1/event';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { part, type Part } from '@evenfall/postgres';
import type { FoldChanges } from '../../domain/fold.ts';
import { sortTimeOf, startTimeOf } from '../../domain/sort-time.ts';
import { SPAN_MS } from '../../domain/spans.ts';
import { type Blob, createColumns, literalOf, type Words } from './row-encoding.ts';

// The parts of the statement of a fold, one for each table that it writes to. Each adds its bytes to the blob and its words to the list, so all of them are
// made before the statement is. A part costs its share of every statement it is in, also with nothing to do: without rows it is empty.

const NOTHING = Buffer.alloc(0);

/** Inserts or updates the rows of open events. */
export function openedPart(open: FoldChanges['open'], blob: Blob, words: Words): Part {
  if (open.length === 0) return part``;
  const opened = createColumns(11);
  for (const { folded, partition, acceptOffset } of open) {
    const event = folded.event as Event; // an open entry has one
    const data = blob.add(FoldedEvent.encode({ ...folded, payload: NOTHING }).finish());
    const payload = blob.add(folded.payload);
    const { id, state } = event;
    opened.add(
      id,
      partition,
      words.indexOf(event),
      state,
      sortTimeOf(event),
      data,
      payload - data,
      payload,
      blob.end - payload,
      acceptOffset,
      startTimeOf(event),
    );
  }
  return part`, opened AS (
      INSERT INTO events.open_event (id, partition, namespace, function, version, trigger, state, sort_time, data, payload, accept_offset, start_time)
      SELECT o.id, o.partition, w.namespace, w.function, w.version, w.trigger, o.state, to_timestamp(o.sort_ms / 1000.0),
        substring((SELECT bytes FROM blob) FROM o.data_at FOR o.data_length), substring((SELECT bytes FROM blob) FROM o.payload_at FOR o.payload_length),
        o.accept_offset, to_timestamp(o.start_ms / 1000.0)
      FROM unnest(${opened.column(0)}::uuid[], ${opened.column(1)}::int[], ${opened.column(2)}::int[], ${opened.column(3)}::smallint[], ${opened.column(4)}::float8[],
        ${opened.column(5)}::int[], ${opened.column(6)}::int[], ${opened.column(7)}::int[], ${opened.column(8)}::int[],
        ${opened.column(9)}::bigint[], ${opened.column(10)}::float8[]
      ) AS o (id, partition, word, state, sort_ms, data_at, data_length, payload_at, payload_length, accept_offset, start_ms) JOIN words w ON w.index = o.word
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (id) DO UPDATE SET state = excluded.state, sort_time = excluded.sort_time, start_time = excluded.start_time, data = excluded.data
    )`;
}

/** Deletes the open rows of ended events, and returns their payloads to the part of dead letters. */
export function closedPart(closed: FoldChanges['closed']): Part {
  if (closed.length === 0) return part``;
  return part`, closed AS (
      DELETE FROM events.open_event WHERE id = ANY(${literalOf(closed)}::uuid[]) AND (SELECT ok FROM checked)
      RETURNING id, payload
    )`;
}

/** Inserts dead letters, with the payload of the open row where there is one. */
export function deadPart({ dead, closed }: FoldChanges, blob: Blob, words: Words): Part {
  if (dead.length === 0) return part``;
  const buried = createColumns(7);
  for (const { event, payload } of dead) {
    const data = blob.add(Event.encode(event).finish());
    const payloadAt = blob.add(payload);
    buried.add(event.id, words.indexOf(event), event.endTime?.getTime() ?? 0, data, payloadAt - data, payloadAt, blob.end - payloadAt);
  }
  return part`, dead AS (
      INSERT INTO events.dead_letter (id, namespace, function, end_time, data, payload)
      SELECT d.id, w.namespace, w.function, to_timestamp(d.end_ms / 1000.0), substring((SELECT bytes FROM blob) FROM d.data_at FOR d.data_length),
        ${closed.length === 0 ? part`` : part`coalesce((SELECT c.payload FROM closed c WHERE c.id = d.id),`}
        substring((SELECT bytes FROM blob) FROM d.payload_at FOR d.payload_length)${closed.length === 0 ? part`` : part`)`}
      FROM unnest(${buried.column(0)}::uuid[], ${buried.column(1)}::int[], ${buried.column(2)}::float8[], ${buried.column(3)}::int[], ${buried.column(4)}::int[],
        ${buried.column(5)}::int[], ${buried.column(6)}::int[]
      ) AS d (id, word, end_ms, data_at, data_length, payload_at, payload_length) JOIN words w ON w.index = d.word
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (id, end_time) DO NOTHING
    )`;
}

/** Deletes purged and redriven dead letters. */
export function purgedPart(purged: FoldChanges['purged']): Part {
  if (purged.length === 0) return part``;
  return part`, purged AS (
      DELETE FROM events.dead_letter WHERE id = ANY(${literalOf(purged)}::uuid[]) AND (SELECT ok FROM checked)
    )`;
}

/** Inserts ended events, and counts them. */
export function endedPart(ended: FoldChanges['ended'], blob: Blob, words: Words): Part {
  if (ended.length === 0) return part``;
  const done = createColumns(8);
  for (const event of ended) {
    const data = blob.add(Event.encode(event).finish());
    const times = [sortTimeOf(event), event.endTime?.getTime() ?? 0, startTimeOf(event)] as const;
    done.add(event.id, words.indexOf(event), event.state, times[0], times[1], data, blob.end - data, times[2]);
  }
  return part`, ended AS (
      INSERT INTO events.ended_event (id, namespace, function, version, trigger, state, sort_time, end_time, data, start_time)
      SELECT e.id, w.namespace, w.function, w.version, w.trigger, e.state, to_timestamp(e.sort_ms / 1000.0), to_timestamp(e.end_ms / 1000.0),
        substring((SELECT bytes FROM blob) FROM e.data_at FOR e.data_length), to_timestamp(e.start_ms / 1000.0)
      FROM unnest(${done.column(0)}::uuid[], ${done.column(1)}::int[], ${done.column(2)}::smallint[], ${done.column(3)}::float8[], ${done.column(4)}::float8[],
        ${done.column(5)}::int[], ${done.column(6)}::int[], ${done.column(7)}::float8[]
      ) AS e (id, word, state, sort_ms, end_ms, data_at, data_length, start_ms) JOIN words w ON w.index = e.word
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (id, end_time) DO NOTHING
      RETURNING namespace, function, state, end_time
    ), counted AS ( -- in one order, so that two replicas wait for each other and never in a ring
      INSERT INTO events.ended_count AS c (namespace, function, state, from_time, events)
      SELECT namespace, function, state, date_bin(${`${SPAN_MS} ms`}::text::interval, end_time, 'epoch'), count(*) FROM ended
      GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
      ON CONFLICT (namespace, function, state, from_time) DO UPDATE SET events = c.events + excluded.events
    )`;
}
