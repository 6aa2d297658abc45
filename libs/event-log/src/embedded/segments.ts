import type { Sql } from '@evenfall/postgres';

export type SegmentOptions = {
  readonly maxBytes: number;
  readonly checkMs: number;
  readonly onFailure: (error: unknown, doing: string) => void;
};

/** Begins new segments and drops those every reader is past, now and then. Two processes doing it at once do no harm. */
export function startSegments(sql: Sql, options: SegmentOptions) {
  let working: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    working = checkSegments(sql, options.maxBytes).catch((error: unknown) =>
      options.onFailure(error, 'keeping the segments of the event log'),
    );
  }, options.checkMs);
  return {
    async stop(): Promise<void> {
      clearInterval(timer);
      await working;
    },
  };
}

/** One round: begins a segment if the newest is full, drops the oldest ones that every reader has passed. */
export async function checkSegments(sql: Sql, maxBytes: number): Promise<void> {
  const segments = await sql<{ segment: number; bytes: bigint }[]>`
    SELECT segment, coalesce(pg_total_relation_size(to_regclass('event_log.batch_' || segment)), 0) AS bytes FROM event_log.segment ORDER BY segment`;
  const newest = segments[segments.length - 1];
  if (newest && Number(newest.bytes) >= maxBytes) await begin(sql, newest.segment + 1);
  for (const { segment } of segments.slice(0, -1)) {
    if (!(await isUnread(sql, segment))) return; // later ones are needed all the more
    // One message is one transaction. A reader that holds the parent makes it give up rather than stop the writers.
    await sql.unsafe(
      `SET LOCAL lock_timeout = '500ms'; DROP TABLE event_log.batch_${segment}; DELETE FROM event_log.segment WHERE segment = ${segment}`,
    );
  }
}

async function begin(sql: Sql, segment: number): Promise<void> {
  await sql.unsafe(`
    SET LOCAL lock_timeout = '500ms';
    CREATE TABLE IF NOT EXISTS event_log.batch_${segment} PARTITION OF event_log.batch FOR VALUES IN (${segment});
    INSERT INTO event_log.segment VALUES (${segment}) ON CONFLICT DO NOTHING`);
}

/** A segment may go once every reader there is has applied the last of it. Without any reader nothing goes. */
async function isUnread(sql: Sql, segment: number): Promise<boolean> {
  const [row] = await sql<{ free: boolean }[]>`
    SELECT count(*) > 0 AND bool_and(coalesce(r.applied_offset, 0) >= coalesce(b.end_offset, 0)) AS free
    FROM (SELECT DISTINCT reader FROM event_log.reader) names
    CROSS JOIN event_log.partition p
    LEFT JOIN event_log.reader r ON r.reader = names.reader AND r.partition = p.partition
    LEFT JOIN (SELECT partition, max(first_offset + record_count) AS end_offset FROM event_log.batch WHERE segment = ${segment} GROUP BY partition) b ON b.partition = p.partition`;
  return row?.free ?? false;
}
