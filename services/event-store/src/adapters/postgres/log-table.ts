import type { Sql } from '@evenfall/postgres';
import type { LinesOf, Used } from '../../domain/line-budgets.ts';
import type { LogTable } from '../../ports.ts';

/** The log lines in Postgres. */
export function createLogTable(sql: Sql): LogTable {
  return {
    async append(lines) {
      const rows = lines.map(({ eventId, sequence, line }) => ({ eventId, sequence, line: line ?? EMPTY }));
      const stored = await sql<UsedRow[]>`
        WITH stored AS (
        INSERT INTO events.log_line (event_id, attempt, sequence, time, stream, instance_id, text)
        SELECT event_id, attempt, sequence, to_timestamp(time_ms / 1000.0), stream, instance_id, text FROM unnest(
          ${rows.map((r) => r.eventId)}::uuid[], ${rows.map((r) => r.line.attempt)}::int[], ${rows.map((r) => r.sequence)}::int[],
          ${rows.map((r) => r.line.time?.getTime() ?? 0)}::float8[], ${rows.map((r) => r.line.stream)}::smallint[],
          ${rows.map((r) => r.line.instanceId)}::text[],
          ${rows.map((r) => r.line.text.replaceAll('\0', '\uFFFD'))}::text[] -- Postgres has no NUL in text
        ) AS l (event_id, attempt, sequence, time_ms, stream, instance_id, text)
        ON CONFLICT DO NOTHING RETURNING event_id, attempt, text
        )
        SELECT event_id, attempt, count(*)::int AS lines, sum(length(text))::int AS text FROM stored GROUP BY event_id, attempt`;
      return stored.map(usedFrom);
    },
    async used(attempts) {
      const rows = await sql<UsedRow[]>`
        SELECT event_id, attempt, count(*)::int AS lines, sum(length(text))::int AS text FROM events.log_line
        WHERE (event_id, attempt) IN (
          SELECT * FROM unnest(${attempts.map(({ eventId }) => eventId)}::uuid[], ${attempts.map(({ attempt }) => attempt)}::int[]))
        GROUP BY event_id, attempt`;
      return rows.map(usedFrom);
    },
    async list(eventId, after, limit) {
      const rows = await sql<{ attempt: number; sequence: number; time: Date; stream: number; instance_id: string; text: string }[]>`
        SELECT attempt, sequence, time, stream, instance_id, text FROM events.log_line
        WHERE event_id = ${eventId} AND (attempt, sequence) > (${after.attempt}, ${after.sequence})
        ORDER BY attempt, sequence LIMIT ${limit}`;
      return rows.map((row) => ({
        sequence: row.sequence,
        // The column holds what LogLine_Stream allows: it was written from one.
        line: { time: row.time, stream: row.stream as 1 | 2 | 3 | 4, attempt: row.attempt, instanceId: row.instance_id, text: row.text },
      }));
    },
  };
}

type UsedRow = { readonly event_id: string; readonly attempt: number; readonly lines: number; readonly text: number };

function usedFrom({ event_id: eventId, attempt, lines, text }: UsedRow): LinesOf & Used {
  return { eventId, attempt, lines, text };
}

const EMPTY = { time: undefined, stream: 0, attempt: 0, instanceId: '', text: '' } as const;
