import type { Event } from '@evenfall/contracts/v1/event';
import type { Sql } from '@evenfall/postgres';
import { SPAN_MS, spanOf } from '../../domain/spans.ts';

/** How long what other replicas may have folded is not looked for again. */
const KNOWN_FOR_MS = 10_000;

/** Knows when the span ends in which the latest event has ended: mostly the present one, and a later one after a clock was ahead. */
export function latestEnd(sql: Sql): { note(ended: readonly Event[]): void; read(): Promise<number> } {
  let latestMs = 0;
  let readMs = Number.NEGATIVE_INFINITY;
  return {
    note(ended) {
      for (const { endTime } of ended) {
        const endMs = endTime?.getTime() ?? 0;
        if (endMs >= latestMs) latestMs = spanOf(endMs) + SPAN_MS;
      }
    },
    async read() {
      const nowMs = performance.now();
      if (nowMs - readMs < KNOWN_FOR_MS) return latestMs;
      const [row] = await sql<
        { at: number | null }[]
      >`SELECT (extract(epoch FROM max(from_time)) * 1000)::float8 AS at FROM events.ended_count`;
      readMs = nowMs;
      latestMs = Math.max(latestMs, row?.at == null ? 0 : row.at + SPAN_MS);
      return latestMs;
    },
  };
}
