import { migrate, type Sql } from '@evenfall/postgres';
import type { EventLog } from '../port.ts';
import { createAppender } from './appender.ts';
import { createReader } from './reader.ts';
import { startSegments } from './segments.ts';
import { createTail } from './tail.ts';

export type EmbeddedLogOptions = {
  readonly sql: Sql;
  /**
   * What appends go through: one is in flight at a time, and connections that took turns would each have cold caches, which doubles what an append
   * costs the server. Default: `sql`.
   */
  readonly appendSql?: Sql;
  /** Fixed when the log is made; opening it with another number fails. Default 12. */
  readonly partitionCount?: number;
  /** Whether other processes read or write it, and are notified of writes. Default true. */
  readonly isShared?: boolean;
  /** A new segment is begun once the newest holds so much. Default 64 MiB. */
  readonly segmentBytes?: number;
  /** How often segments are looked at. Default 10 s. */
  readonly segmentCheckMs?: number;
  /** Called for failures that are tried again. */
  readonly onFailure: (error: unknown, doing: string) => void;
};

/** Opens the embedded log: record batches in Postgres, one row a flush. For one machine and small installations. */
export async function openEmbeddedLog(options: EmbeddedLogOptions): Promise<EventLog> {
  const { sql } = options;
  const partitionCount = options.partitionCount ?? 12;
  await migrate(sql, { schema: 'event_log', dir: new URL('../../migrations/', import.meta.url) });
  // Two processes may make the partitions at once: one of them waits for the other, and counts afterwards.
  await sql`
    INSERT INTO event_log.partition (partition) SELECT generate_series(0, ${partitionCount}::int - 1) WHERE NOT EXISTS (SELECT FROM event_log.partition)
    ON CONFLICT DO NOTHING`;
  const [row] = await sql<{ total: number }[]>`SELECT count(*)::int AS total FROM event_log.partition`;
  const total = row?.total ?? 0;
  if (total !== partitionCount) throw new Error(`The event log was made with ${total} partitions, not ${partitionCount}`);

  const isShared = options.isShared ?? true;
  const tail = createTail(partitionCount);
  const appender = createAppender(options.appendSql ?? sql, tail, isShared);
  const reader = await createReader(sql, tail, { isShared, onFailure: options.onFailure });
  const segments = startSegments(sql, {
    maxBytes: options.segmentBytes ?? 64 * 1024 * 1024,
    checkMs: options.segmentCheckMs ?? 10_000,
    onFailure: options.onFailure,
  });
  return {
    partitionCount,
    append: appender.append,
    endOffsets: reader.endOffsets,
    subscribe: reader.subscribe,
    async close() {
      await appender.close();
      await reader.close();
      await segments.stop();
    },
  };
}
