import type { Sql } from '@evenfall/postgres';
import { postgresRefusal } from '@evenfall/postgres';
import { createBackoff } from '@evenfall/time';
import { decodeBatch, from as batchFrom } from '../decode.ts';
import type { EventLog, LogBatch, Subscriber, Subscription } from '../port.ts';
import type { Tail } from './tail.ts';

import { RETRY } from '../retry.ts';

/** What one `apply` gets at most, but for a batch that is larger by itself. */
const APPLY_RECORDS = 2_000;
/** Of what is read back from the table. */
const APPLY_BYTES = 16 * 1024 * 1024;
/** How often ends are asked for, should a notification have been missed. */
const POLL_MS = 1_000;
/** How often applied offsets are written down. */
const NOTE_MS = 1_000;

type OnFailure = (error: unknown, doing: string) => void;

/**
 * Follows the log: from the tail where it can, from the table where it must. One process owns all partitions of the embedded log. Where no other
 * writes it, its end need not be queried.
 */
export async function createReader(
  sql: Sql,
  tail: Tail,
  { isShared, onFailure }: { readonly isShared: boolean; readonly onFailure: OnFailure },
) {
  const ask = async (): Promise<ReadonlyMap<number, number>> => {
    try {
      const rows = await sql<{ partition: number; next_offset: bigint }[]>`SELECT partition, next_offset FROM event_log.partition`;
      const ends = new Map(rows.map((row) => [row.partition, Number(row.next_offset)]));
      for (const [partition, end] of ends) tail.noteEnd(partition, end);
      return ends;
    } catch (error) {
      throw postgresRefusal(error, 'LOG_UNAVAILABLE');
    }
  };
  // One query answers all calls that came before it was sent.
  let asking: Promise<ReadonlyMap<number, number>> | undefined;
  const endOffsets: EventLog['endOffsets'] = () => {
    if (!isShared) return Promise.resolve(tail.knownEnds());
    asking ??= Promise.resolve().then(() => {
      asking = undefined;
      return ask();
    });
    return asking;
  };

  const listening = await sql.listen(
    'evenfall_log',
    (payload) => {
      const [partition, end] = payload.split(' ').map(Number);
      if (partition !== undefined && end !== undefined) tail.noteEnd(partition, end);
    },
    () => void ask().catch((error: unknown) => onFailure(error, 'asking for the ends of the event log')), // listened anew: something may have been missed
  );
  const poll = setInterval(() => void ask().catch((error: unknown) => onFailure(error, 'asking for the ends of the event log')), POLL_MS);
  await ask();
  const subscriptions = new Set<Subscription>();

  return {
    endOffsets,
    subscribe(subscriber: Subscriber): Subscription {
      const subscription = follow(sql, tail, subscriber, onFailure);
      subscriptions.add(subscription);
      return subscription;
    },
    async close(): Promise<void> {
      clearInterval(poll);
      await Promise.all([...subscriptions].map((subscription) => subscription.stop()));
      await listening.unlisten().catch(() => undefined); // the connection may be gone already
    },
  };
}

function follow(sql: Sql, tail: Tail, subscriber: Subscriber, onFailure: OnFailure): Subscription {
  const controller = new AbortController();
  const { signal } = controller;
  let wake: (() => void) | undefined;
  const rouse = (): void => {
    wake?.();
    wake = undefined;
  };
  const stopListening = tail.onMove(rouse);
  const applied = new Map<number, number>();
  let isOver = false;

  const run = async (): Promise<void> => {
    const [row] = await sql<
      { partitions: number[] }[]
    >`SELECT array_agg(partition ORDER BY partition) AS partitions FROM event_log.partition`;
    const partitions = row?.partitions ?? [];
    isOver = false;
    const cursors = new Map(await subscriber.owned(partitions));
    try {
      while (!signal.aborted && !isOver) {
        const batches = await nextBatches(sql, tail, cursors);
        if (batches.length === 0) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            // It may have moved, or been stopped, between the look and the wait.
            if (signal.aborted || isOver || isBehind(tail, cursors)) rouse();
          });
          continue;
        }
        await subscriber.apply(batches);
        for (const batch of batches) cursors.set(batch.partition, batch.firstOffset + batch.records.length);
      }
    } finally {
      subscriber.lost(partitions);
    }
  };
  const supervise = async (): Promise<void> => {
    const backoff = createBackoff(RETRY);
    while (!signal.aborted) {
      await run().catch((error: unknown) => {
        if (!signal.aborted) onFailure(error, `applying the event log (${subscriber.name})`);
      });
      if (!signal.aborted) await new Promise((resolve) => setTimeout(resolve, backoff.next()));
    }
  };
  const note = async (): Promise<void> => {
    if (applied.size === 0) return;
    const noted = new Map(applied);
    applied.clear();
    await sql`
      INSERT INTO event_log.reader (reader, partition, applied_offset)
      SELECT ${subscriber.name}, * FROM unnest(${[...noted.keys()]}::int[], ${[...noted.values()].map(String)}::bigint[])
      ON CONFLICT (reader, partition) DO UPDATE SET applied_offset = greatest(event_log.reader.applied_offset, excluded.applied_offset)`;
  };
  const noting = setInterval(() => void note().catch((error: unknown) => onFailure(error, 'writing down what was applied')), NOTE_MS);
  const running = supervise();
  return {
    applied(endOffsets) {
      for (const [partition, end] of endOffsets) applied.set(partition, end);
    },
    isOwner: () => true,
    again() {
      isOver = true;
      rouse();
    },
    async stop() {
      if (signal.aborted) return running;
      controller.abort();
      clearInterval(noting);
      stopListening();
      rouse();
      await running;
      await note().catch(() => undefined); // only spares the next start some reading
    },
  };
}

/** Hot, every flush wakes every reader: nothing is made for partitions that have not moved. */
async function nextBatches(sql: Sql, tail: Tail, cursors: ReadonlyMap<number, number>): Promise<readonly LogBatch[]> {
  const found: LogBatch[] = [];
  let records = 0;
  let behind: number | undefined;
  for (const partition of cursors.keys()) {
    const at = cursors.get(partition) ?? 0;
    if (tail.knownEnd(partition) <= at || records >= APPLY_RECORDS) continue;
    const batches = tail.from(partition, at, APPLY_RECORDS - records);
    if (batches.length === 0) behind ??= partition;
    for (const batch of batches) {
      found.push(batch);
      records += batch.records.length;
    }
  }
  if (found.length > 0) return found;
  return behind === undefined ? [] : readStored(sql, behind, cursors.get(behind) ?? 0);
}

/** Whether the log is known to go on behind one of the cursors. */
function isBehind(tail: Tail, cursors: ReadonlyMap<number, number>): boolean {
  for (const partition of cursors.keys()) if (tail.knownEnd(partition) > (cursors.get(partition) ?? 0)) return true;
  return false;
}

async function readStored(sql: Sql, partition: number, from: number): Promise<readonly LogBatch[]> {
  const query = sql<{ first_offset: bigint; record_count: number; data: Buffer; append_time: Date | null }[]>`
    SELECT first_offset, record_count, data, append_time FROM event_log.batch
    WHERE partition = ${partition} AND first_offset >= coalesce(
      (SELECT max(first_offset) FROM event_log.batch WHERE partition = ${partition} AND first_offset <= ${String(from)}::bigint), 0)
    ORDER BY first_offset LIMIT 20`;
  const batches: LogBatch[] = [];
  let expected = from;
  let records = 0;
  let bytes = 0;
  for await (const rows of query.cursor(4)) {
    for (const row of rows) {
      const first = Number(row.first_offset);
      if (first > expected) throw new Error(`The event log has lost offsets ${expected} to ${first - 1} of partition ${partition}`);
      if (first + row.record_count <= expected) continue;
      const decoded = decodeBatch(partition, first, row.record_count, row.data);
      const batch = batchFrom(row.append_time ? { ...decoded, appendTimesMs: row.append_time.getTime() } : decoded, expected);
      batches.push(batch);
      expected = first + row.record_count;
      records += batch.records.length;
      bytes += row.data.length;
      if (records >= APPLY_RECORDS || bytes >= APPLY_BYTES) return batches;
    }
  }
  return batches;
}
