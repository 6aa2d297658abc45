import type { OpenEvent } from '@evenfall/contracts/event_store/v1/event_store_service';
import { Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { inParts, foldedBytes } from '@evenfall/event-model';
import { timeOfUuidV7 } from '@evenfall/time';
import { answered, isDataRefused, type Sql, rowsOf } from '@evenfall/postgres';
import { FoldRefused } from '../../domain/fold-refused.ts';
import { ENDED_VERSION, type VersionedEvent, versionedOf } from '../../domain/watchers.ts';
import type { EventTable, LaneName, Position } from '../../ports.ts';
import { countEvents, totalSizeOf } from './count-events.ts';
import type { Moment } from './event-filter.ts';
import { latestEnd } from './latest-end.ts';
import { listByOffset } from './list-by-offset.ts';
import { listEvents } from './list-events.ts';
import { listPendingDeliveries, loadPendingDeliveries, pendingDeliveryOf } from './pending-deliveries.ts';
import { withRedrivenTo } from './redriven.ts';
import { writeFold } from './write-fold.ts';

/** A fold without an answer for so long is given up, and done again. */
const FOLD_WITHIN_MS = 60_000;

/** The events in Postgres. */
export function createEventTable(sql: Sql, foldSql: Sql, retentionMs: number): EventTable {
  const latest = latestEnd(sql);
  const sinceMs = (): number => Date.now() - retentionMs;
  const since = (): string => new Date(sinceMs()).toISOString();
  const moment = async (): Promise<Moment> => ({ nowMs: Date.now(), sinceMs: sinceMs(), latestMs: await latest.read() });
  return {
    async positions(partitions) {
      const rows = await sql<AppliedRow[]>`
        WITH made AS (
          INSERT INTO events.applied (partition) SELECT * FROM unnest(${[...partitions]}::int[]) ON CONFLICT DO NOTHING
          RETURNING partition, end_offset, owner, owner_time, timed_owner)
        SELECT partition, end_offset, owner, owner_time, timed_owner FROM events.applied WHERE partition = ANY(${[...partitions]}::int[])
        UNION SELECT partition, end_offset, owner, owner_time, timed_owner FROM made`;
      return rows.map(positionOf);
    },
    writeFold(changes) {
      latest.note(changes.ended);
      return orRefused(answered(foldSql, FOLD_WITHIN_MS, writeFold(foldSql, changes)));
    },
    async loadOpen(ids) {
      const rows = await orRefused(sql<{ data: Buffer }[]>`SELECT data FROM events.open_event WHERE id = ANY(${[...ids]}::uuid[])`);
      return rows.map((row) => FoldedEvent.decode(row.data));
    },
    loadPendingDeliveries: (ids) => orRefused(loadPendingDeliveries(sql, ids)),
    async endedIds(ids) {
      const rows = await orRefused(
        sql<{ id: string }[]>`SELECT id FROM events.ended_event WHERE id = ANY(${[...ids]}::uuid[]) AND end_time > ${since()}`,
      );
      return new Set(rows.map((row) => row.id));
    },
    async getEvent(id) {
      return (await this.getVersioned(id))?.event;
    },
    async getVersioned(id) {
      // An event mostly ends after its id was made, and then older partitions need not be looked at. The id has the time of the gateway's clock, the end
      // that of the queue's, and either clock may have been set in between: a miss counts only after the complete retention was searched.
      const made = timeOfUuidV7(id);
      const keptMs = sinceMs();
      const likelyMs = made === undefined ? keptMs : Math.max(made - 60_000, keptMs);
      const row = (await rowOf(sql, id, likelyMs)) ?? (likelyMs > keptMs ? await rowOf(sql, id, keptMs) : undefined);
      const found = row && versionedOfRow(row);
      if (!found) return undefined;
      const [event = found.event] = await withRedrivenTo(sql, [found.event]);
      return { ...found, event };
    },
    async getManyVersioned(ids) {
      const rows = await sql<VersionedRow[]>`
        SELECT true AS is_open, data FROM events.open_event WHERE id = ANY(${[...ids]}::uuid[])
        UNION ALL SELECT false, data FROM events.ended_event WHERE id = ANY(${[...ids]}::uuid[]) AND end_time > ${since()}`;
      return rows.map(versionedOfRow).filter((one) => one !== undefined);
    },
    listEvents: async (query, after, limit) => listEvents(sql, query, after, limit, await moment()),
    async listByOffset(query, page) {
      const { events, totalCount } = await listByOffset(sql, query, page, await moment());
      return { events: await withRedrivenTo(sql, events), totalCount };
    },
    totalSize: async (query) => totalSizeOf(sql, query, await moment()),
    countEvents: (namespace, fn) => countEvents(sql, namespace, fn, sinceMs()),
    async applied() {
      const rows = await sql<{ partition: number; end_offset: bigint }[]>`SELECT partition, end_offset FROM events.applied`;
      return new Map(rows.map((row) => [row.partition, Number(row.end_offset)]));
    },
    async countOpen() {
      const [row] = await sql<{ count: number }[]>`SELECT count(*)::int AS count FROM events.open_event`;
      return row?.count ?? 0;
    },
    snapshot: (partitions) => snapshot(sql, partitions),
    listQueued: (lane, afterOffset, limit) => listQueued(sql, lane, afterOffset, limit),
    async getQueued({ namespace, function: fn, trigger }, id) {
      const [row] = await sql<OpenRow[]>`
        SELECT accept_offset, data, payload FROM events.open_event
        WHERE id = ${id} AND namespace = ${namespace} AND function = ${fn} AND trigger = ${trigger} AND state = ${State.QUEUED}`;
      return row && openEventOf(row);
    },
    listPendingDeliveries: (query) => listPendingDeliveries(sql, query),
  };
}

/** Says that it is the data's fault, where it is. */
async function orRefused<T>(asked: PromiseLike<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    throw isDataRefused(error) ? new FoldRefused(error) : error;
  }
}

type VersionedRow = { readonly is_open: boolean; readonly data: Buffer };

async function rowOf(sql: Sql, id: string, endedAfterMs: number): Promise<VersionedRow | undefined> {
  const [row] = await rowsOf(
    sql<VersionedRow[]>`
    SELECT true AS is_open, data FROM events.open_event WHERE id = ${id}
    UNION ALL SELECT false, data FROM events.ended_event WHERE id = ${id} AND end_time > ${new Date(endedAfterMs).toISOString()}
    LIMIT 1`,
  );
  return row;
}

function versionedOfRow(row: VersionedRow): VersionedEvent | undefined {
  if (!row.is_open) return { event: Event.decode(row.data), version: ENDED_VERSION };
  return versionedOf(FoldedEvent.decode(row.data));
}

type AppliedRow = {
  readonly partition: number;
  readonly end_offset: bigint;
  readonly owner: string;
  readonly owner_time: Date | null;
  readonly timed_owner: string;
};

function positionOf({ partition, end_offset: end, owner, owner_time: time, timed_owner: timed }: AppliedRow): Position {
  return { partition, endOffset: Number(end), owner, ownerLogMs: timed === owner ? time?.getTime() : undefined };
}

type SnapshotRow = Omit<AppliedRow, 'end_offset'> & {
  readonly end_offset: bigint | null;
  readonly accept_offset: bigint | null;
  readonly data: Buffer | null;
  readonly payload: Buffer;
};

/** One statement, so one moment: offsets and rows cannot disagree. */
async function* snapshot(sql: Sql, partitions: readonly number[]): ReturnType<EventTable['snapshot']> {
  const query = sql<SnapshotRow[]>`
    SELECT partition, end_offset, owner, owner_time, timed_owner, 0::bigint AS accept_offset, NULL::bytea AS data, NULL::bytea AS payload
    FROM events.applied WHERE partition = ANY(${[...partitions]}::int[])
    UNION ALL
    SELECT partition, NULL, '', NULL, '', accept_offset, data, payload FROM (
      SELECT * FROM events.open_event WHERE partition = ANY(${[...partitions]}::int[]) ORDER BY partition, accept_offset, id) o
    UNION ALL
    SELECT partition, NULL, '', NULL, '', NULL, data, payload FROM (
      SELECT * FROM events.delivery WHERE partition = ANY(${[...partitions]}::int[]) ORDER BY partition, end_time, id) d`;
  for await (const rows of query.cursor(100)) {
    const positions: Position[] = [];
    const events: OpenEvent[] = [];
    const pendingDeliveries: FoldedEvent[] = [];
    for (const row of rows) {
      if (row.end_offset !== null) positions.push(positionOf({ ...row, end_offset: row.end_offset }));
      const { data, accept_offset: acceptOffset } = row;
      if (!data) continue;
      if (acceptOffset === null) pendingDeliveries.push(pendingDeliveryOf({ ...row, data }));
      else events.push(openEventOf({ ...row, data, accept_offset: acceptOffset }));
    }
    yield* inAnswers(positions, events, pendingDeliveries);
  }
}

/** Cuts what was read at once into answers of bounded size. */
function* inAnswers(positions: Position[], events: OpenEvent[], pendingDeliveries: FoldedEvent[]) {
  const parts = inParts(events, ({ folded }) => (folded ? foldedBytes(folded) : 0), ANSWER_BYTES);
  yield { positions, events: parts[0] ?? [], pendingDeliveries: [] };
  for (const part of parts.slice(1)) yield { positions: [], events: part, pendingDeliveries: [] };
  for (const part of inParts(pendingDeliveries, foldedBytes, ANSWER_BYTES)) yield { positions: [], events: [], pendingDeliveries: part };
}

/** What one answer holds of payloads, but for one that is larger by itself. */
const ANSWER_BYTES = 4 * 1024 * 1024;

type OpenRow = { readonly accept_offset: bigint; readonly data: Buffer; readonly payload: Buffer };

function openEventOf(row: OpenRow): OpenEvent {
  return { folded: { ...FoldedEvent.decode(row.data), payload: row.payload }, acceptOffset: row.accept_offset };
}

/** Read in bites: a thousand payloads of 128 KB would be too much at once. */
async function listQueued(sql: Sql, { namespace, function: fn, trigger }: LaneName, afterOffset: number, limit: number) {
  const query = sql<OpenRow[]>`
    SELECT accept_offset, data, payload FROM events.open_event
    WHERE namespace = ${namespace} AND function = ${fn} AND trigger = ${trigger} AND state = ${State.QUEUED} AND accept_offset > ${String(afterOffset)}::bigint
    ORDER BY accept_offset LIMIT ${limit + 1}`;
  const events: OpenEvent[] = [];
  let bytes = 0;
  for await (const rows of query.cursor(100)) {
    for (const row of rows) {
      if (events.length >= limit || bytes > ANSWER_BYTES) return { events, hasMore: true };
      bytes += row.payload.length + row.data.length;
      events.push(openEventOf(row));
    }
  }
  return { events, hasMore: false };
}
