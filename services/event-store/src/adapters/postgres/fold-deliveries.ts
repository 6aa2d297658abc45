import { Event } from '@evenfall/contracts/v1/event';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { destinationKey, pendingDestination } from '@evenfall/event-model';
import { part } from '@evenfall/postgres';
import type { FoldChanges } from '../../domain/fold.ts';
import { type Blob, createColumns, literalOf } from './row-encoding.ts';

const NOTHING = Buffer.alloc(0);

/**
 * The parts of the fold's statement that are about destinations; empty texts, and no work, for a fold of events without any. They read the
 * statement's `blob`, `checked` and, where open rows go, `closed`.
 */
export function deliveryParts({ pendingDeliveries, settled, amended, closed, purged }: FoldChanges, blob: Blob) {
  return [
    pendingDeliveries.length === 0 ? part`` : pendingPart(pendingDeliveries, closed.length > 0, blob),
    settled.length === 0
      ? part``
      : part`, settled AS (
      DELETE FROM events.delivery WHERE id = ANY(${literalOf(settled)}::uuid[]) AND (SELECT ok FROM checked)
    )`,
    amended.length === 0 ? part`` : amendedPart(amended, purged, blob),
  ] as const;
}

/** The payload of a row that is there already stays as it is. */
function pendingPart(pendingDeliveries: FoldChanges['pendingDeliveries'], hasClosed: boolean, blob: Blob) {
  const rows = createColumns(8);
  for (const { folded, partition } of pendingDeliveries) {
    const target = pendingDestination(folded);
    if (!folded.event || !target) continue;
    const data = blob.add(FoldedEvent.encode({ ...folded, payload: NOTHING }).finish());
    const payload = blob.add(folded.payload);
    const endMs = folded.event.endTime?.getTime() ?? 0;
    rows.add(folded.event.id, partition, destinationKey(target), endMs, data, payload - data, payload, blob.end - payload);
  }
  return part`, pending AS (
      INSERT INTO events.delivery (id, partition, destination, end_time, data, payload)
      SELECT d.id, d.partition, d.destination, to_timestamp(d.end_ms / 1000.0), substring((SELECT bytes FROM blob) FROM d.data_at FOR d.data_length),
        ${hasClosed ? part`coalesce((SELECT c.payload FROM closed c WHERE c.id = d.id),` : part``}
        substring((SELECT bytes FROM blob) FROM d.payload_at FOR d.payload_length)${hasClosed ? part`)` : part``}
      FROM unnest(${rows.column(0)}::uuid[], ${rows.column(1)}::int[], ${rows.column(2)}::uuid[], ${rows.column(3)}::float8[], ${rows.column(4)}::int[],
        ${rows.column(5)}::int[], ${rows.column(6)}::int[], ${rows.column(7)}::int[]
      ) AS d (id, partition, destination, end_ms, data_at, data_length, payload_at, payload_length)
      WHERE (SELECT ok FROM checked)
      ON CONFLICT (id) DO UPDATE SET data = excluded.data
    )`;
}

/** Rows of events that have ended, and their dead letters. The range of their times keeps the update to the partitions they are in. */
function amendedPart(amended: readonly Event[], purged: readonly string[], blob: Blob) {
  const rows = createColumns(4);
  let [from, to] = [Infinity, -Infinity];
  for (const event of amended) {
    const data = blob.add(Event.encode(event).finish());
    const endMs = event.endTime?.getTime() ?? 0;
    [from, to] = [Math.min(from, endMs), Math.max(to, endMs)];
    rows.add(event.id, endMs, data, blob.end - data);
  }
  const range = part`BETWEEN to_timestamp(${from}::float8 / 1000.0) AND to_timestamp(${to}::float8 / 1000.0) AND (SELECT ok FROM checked)`;
  return part`, amendment AS MATERIALIZED (
      SELECT a.id, to_timestamp(a.end_ms / 1000.0) AS end_time, substring((SELECT bytes FROM blob) FROM a.data_at FOR a.data_length) AS data
      FROM unnest(${rows.column(0)}::uuid[], ${rows.column(1)}::float8[], ${rows.column(2)}::int[], ${rows.column(3)}::int[]) AS a (id, end_ms, data_at, data_length)
    ), amended AS (
      UPDATE events.ended_event e SET data = a.data FROM amendment a WHERE e.id = a.id AND e.end_time = a.end_time AND e.end_time ${range}
    ), amended_letter AS (
      UPDATE events.dead_letter d SET data = a.data FROM amendment a
      WHERE d.id = a.id AND d.end_time = a.end_time AND NOT a.id = ANY(${literalOf(purged)}::uuid[]) AND d.end_time ${range}
    )`;
}
