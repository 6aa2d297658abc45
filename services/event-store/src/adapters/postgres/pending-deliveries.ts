import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import type { Sql } from '@evenfall/postgres';
import type { PendingDeliveryQuery } from '../../ports.ts';

/** What one answer holds of payloads, but for one that is larger by itself. */
const ANSWER_BYTES = 4 * 1024 * 1024;

type PendingDeliveryRow = { readonly data: Buffer; readonly payload: Buffer };

export function pendingDeliveryOf({ data, payload }: PendingDeliveryRow): FoldedEvent {
  return { ...FoldedEvent.decode(data), payload };
}

/** Ended events by id that have a pending delivery, without payloads. */
export async function loadPendingDeliveries(sql: Sql, ids: readonly string[]): Promise<ReadonlyMap<string, FoldedEvent>> {
  const rows = await sql<{ id: string; data: Buffer }[]>`SELECT id, data FROM events.delivery WHERE id = ANY(${[...ids]}::uuid[])`;
  return new Map(rows.map(({ id, data }) => [id, FoldedEvent.decode(data)]));
}

/** Those of one destination that ended first; in bites, since payloads may be large. */
export async function listPendingDeliveries(sql: Sql, { partition, destination, limit, exceptEventIds }: PendingDeliveryQuery) {
  const query = sql<PendingDeliveryRow[]>`
    SELECT data, payload FROM events.delivery
    WHERE partition = ${partition} AND destination = ${destination} AND NOT id = ANY(${[...exceptEventIds]}::uuid[])
    ORDER BY end_time, id LIMIT ${limit + 1}`;
  const pendingDeliveries: FoldedEvent[] = [];
  let bytes = 0;
  for await (const rows of query.cursor(50)) {
    for (const row of rows) {
      if (pendingDeliveries.length >= limit || bytes > ANSWER_BYTES) return { pendingDeliveries, hasMore: true };
      bytes += row.payload.length + row.data.length;
      pendingDeliveries.push(pendingDeliveryOf(row));
    }
  }
  return { pendingDeliveries, hasMore: false };
}
