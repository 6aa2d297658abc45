import { type EventRecord, RecordBatch } from '@evenfall/contracts/log/v1/record';
import { Refusal, refuse } from '@evenfall/errors';
import { inParts, ownBytes, recordBytes } from '@evenfall/event-model';
import type { Sql } from '@evenfall/postgres';
import { answered, isDataRefused, rowsOf } from '@evenfall/postgres';
import { appendCounters } from '../counters.ts';
import { encodeRecord, RECORD_BYTES, RecordsRefused } from '../refused.ts';
import type { Tail } from './tail.ts';

/** What one flush takes at most. */
const FLUSH_RECORDS = 4_000;
const FLUSH_BYTES = 4 * 1024 * 1024;
/** What one append gives a flush at most. Bytes are written as text, twice their size: of more the event loop would be held for too long. */
const PART_BYTES = 2 * 1024 * 1024;
/** What may wait for a flush; beyond it appends are refused rather than kept in memory. */
const WAITING_RECORDS = 200_000;
const WAITING_BYTES = 128 * 1024 * 1024;
/** A flush without an answer for so long fails, and with it its appends. A server that is well takes milliseconds. */
const FLUSH_WITHIN_MS = 30_000;

type Waiting = {
  readonly partition: number;
  readonly records: readonly EventRecord[];
  /** About. */
  readonly bytes: number;
  readonly resolve: (endOffset: number) => void;
  readonly reject: (error: unknown) => void;
};

/**
 * Group commit: one flush is in flight; what is appended meanwhile is the next one. A flush is one statement and one row per partition,
 * whatever the number of appends in it. Other processes are notified if there may be any.
 */
export function createAppender(sql: Sql, tail: Tail, isShared: boolean) {
  const counters = appendCounters();
  let waiting: Waiting[] = [];
  let alone: Waiting[] = []; // to be written by themselves
  let waitingRecords = 0;
  let waitingBytes = 0;
  let flushing: Promise<void> | undefined;
  let closed = false;

  const flushAll = async (): Promise<void> => {
    await Promise.resolve(); // appends of the same turn go together
    while (waiting.length + alone.length > 0) {
      const batch = alone.length > 0 ? alone.splice(0, 1) : dequeue();
      try {
        await flush(sql, tail, batch, isShared);
        counters.flushes_total++;
        counters.appends_total += batch.length;
        for (const { records } of batch) counters.records_total += records.length;
      } catch (error) {
        fail(batch, error);
      }
    }
    flushing = undefined;
  };
  /** One of several that were refused for good is found by itself, so that its neighbours are written. Everything else may pass. */
  const fail = (batch: readonly Waiting[], cause: unknown): void => {
    if (!(cause instanceof RecordsRefused) && !isDataRefused(cause)) {
      for (const one of batch) one.reject(new Refusal('LOG_UNAVAILABLE', {}, { cause }));
    } else if (batch.length > 1) alone = [...batch];
    else batch[0]?.reject(refusedFor(cause));
  };
  const dequeue = (): Waiting[] => {
    let count = 0;
    let records = 0;
    let bytes = 0;
    while (count < waiting.length && records < FLUSH_RECORDS) {
      const next = waiting[count] as Waiting; // count is within the list
      if (count > 0 && bytes + next.bytes > FLUSH_BYTES) break;
      records += next.records.length;
      bytes += next.bytes;
      count++;
    }
    const batch = count === waiting.length ? waiting : waiting.slice(0, count);
    waiting = count === waiting.length ? [] : waiting.slice(count);
    waitingRecords -= records;
    waitingBytes -= bytes;
    return batch;
  };
  const enqueue = (partition: number, records: readonly EventRecord[], bytes: number): Promise<number> => {
    if (closed || waitingRecords + records.length > WAITING_RECORDS || waitingBytes + bytes > WAITING_BYTES)
      return Promise.reject(refuse('LOG_UNAVAILABLE'));
    return new Promise((resolve, reject) => {
      waiting.push({ partition, records, bytes, resolve, reject });
      waitingRecords += records.length;
      waitingBytes += bytes;
      flushing ??= flushAll();
    });
  };

  return {
    async append(partition: number, records: readonly EventRecord[]): Promise<number> {
      // What may be too large is encoded to find out; nearly nothing is.
      const bytes = checkedBytes(records);
      if (bytes <= PART_BYTES) return enqueue(partition, records, bytes);
      let end = 0;
      // One after the other: should one fail, nothing behind it is in the log.
      for (const part of inParts(records, recordBytes, PART_BYTES)) end = await enqueue(partition, part, checkedBytes(part));
      return end;
    },
    /** Waits for what was appended. */
    async close(): Promise<void> {
      closed = true;
      await flushing;
    },
  };
}

/** Bytes of some records, about. Throws `RecordsRefused` if one is too large for the log. */
function checkedBytes(records: readonly EventRecord[]): number {
  let bytes = 0;
  for (const record of records) {
    const size = recordBytes(record);
    if (size > RECORD_BYTES / 2) encodeRecord(record);
    bytes += size;
  }
  return bytes;
}

function refusedFor(cause: unknown): RecordsRefused {
  if (cause instanceof RecordsRefused) return cause;
  return new RecordsRefused('REFUSED', `The database does not take it: ${String(cause)}`, { cause });
}

function encodeAll(records: EventRecord[]): Uint8Array {
  try {
    return RecordBatch.encode({ records }).finish();
  } catch (cause) {
    throw new RecordsRefused('NOT_ENCODABLE', `A record cannot be encoded: ${String(cause)}`, { cause });
  }
}

type StoredRow = { readonly partition: number; readonly first_offset: bigint; readonly append_time: Date };

/**
 * The same for one partition, which is what a quiet platform writes: half the time of the statement for many. The time is taken with the partition's lock
 * held: within a partition it rises with the offsets, as long as the server's clock is not set.
 */
function storeOne(sql: Sql, partition: number, count: number, data: Buffer, isShared: boolean) {
  return sql<StoredRow[]>`
    WITH moved AS (
      UPDATE event_log.partition SET next_offset = next_offset + ${count}::int WHERE partition = ${partition}::int
      RETURNING partition, next_offset - ${count}::int AS first_offset, clock_timestamp() AS append_time
    ), stored AS (
      INSERT INTO event_log.batch (segment, partition, first_offset, record_count, data, append_time)
      SELECT (SELECT max(segment) FROM event_log.segment), partition, first_offset, ${count}::int, ${data}::bytea, append_time FROM moved
    )
    SELECT partition, first_offset, append_time ${isShared ? sql`, pg_notify('evenfall_log', partition || ' ' || first_offset + ${count}::int)` : sql``} FROM moved`;
}

async function flush(sql: Sql, tail: Tail, waiting: readonly Waiting[], isShared: boolean): Promise<void> {
  const byPartition = new Map<number, { records: EventRecord[]; bytes: number; appends: { one: Waiting; end: number }[] }>();
  for (const one of waiting) {
    let part = byPartition.get(one.partition);
    if (!part) byPartition.set(one.partition, (part = { records: [], bytes: 0, appends: [] }));
    for (const record of one.records) part.records.push(record);
    part.bytes += one.bytes;
    part.appends.push({ one, end: part.records.length });
  }
  // One blob, cut up by the server: postgres.js would escape an array of bytea byte by byte.
  const encoded = [...byPartition.values()].map(({ records }) => encodeAll(records));
  const lengths = encoded.map((bytes) => bytes.length);
  let at = 0;
  const starts = lengths.map((length) => (at += length) - length + 1);
  const counts = [...byPartition.values()].map((part) => part.records.length);
  const blob =
    encoded.length === 1
      ? Buffer.from((encoded[0] as Uint8Array).buffer, (encoded[0] as Uint8Array).byteOffset, at)
      : Buffer.concat(encoded);
  const storeMany = () => sql<StoredRow[]>`
    WITH input AS (
      SELECT * FROM unnest(${[...byPartition.keys()]}::int[], ${counts}::int[], ${starts}::int[], ${lengths}::int[]) AS i (partition, count, start, length)
    ), locked AS ( -- in order, so that two writers cannot wait for each other
      SELECT p.partition FROM event_log.partition p WHERE p.partition = ANY(SELECT partition FROM input) ORDER BY p.partition FOR UPDATE
    ), moved AS (
      UPDATE event_log.partition p SET next_offset = p.next_offset + i.count
      FROM input i JOIN locked l ON l.partition = i.partition
      WHERE p.partition = i.partition
      RETURNING p.partition, p.next_offset - i.count AS first_offset, i.count, i.start, i.length, clock_timestamp() AS append_time
    ), stored AS (
      INSERT INTO event_log.batch (segment, partition, first_offset, record_count, data, append_time)
      SELECT (SELECT max(segment) FROM event_log.segment), partition, first_offset, count, substring(${blob}::bytea FROM start FOR length), append_time FROM moved
    )
    SELECT partition, first_offset, append_time ${isShared ? sql`, pg_notify('evenfall_log', partition || ' ' || first_offset + count)` : sql``} FROM moved`;
  const stored = rowsOf(encoded.length === 1 ? storeOne(sql, waiting[0]?.partition ?? 0, counts[0] ?? 0, blob, isShared) : storeMany());
  const rows = await answered(sql, FLUSH_WITHIN_MS, stored);
  if (rows.length !== byPartition.size) throw new Error('The event log lacks a partition');
  for (const row of rows) {
    const part = byPartition.get(row.partition);
    if (!part) continue;
    const firstOffset = Number(row.first_offset);
    for (const { one, end } of part.appends) one.resolve(firstOffset + end);
    ownBytes(part.records);
    tail.wrote({ partition: row.partition, firstOffset, records: part.records, appendTimesMs: row.append_time.getTime() }, part.bytes);
  }
}
