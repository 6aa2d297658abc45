import { renewPool } from './renewing-pool.ts';
import type { Sql } from './sql.ts';

/**
 * Awaits a statement of a pool. A server that says nothing for `withinMs` milliseconds, as one behind a lost network, is given up: all that is
 * in flight on the pool is rejected with `CONNECTION_DESTROYED`, and its connections are opened anew. Whether the statement took effect is then
 * unknown, as when a connection is lost. TCP alone finds a peer that is gone after a quarter of an hour.
 */
export async function answered<T>(sql: Sql, withinMs: number, statement: Promise<T>): Promise<T> {
  const timer = setTimeout(renewPool, withinMs, sql);
  try {
    return await statement;
  } finally {
    clearTimeout(timer);
  }
}
