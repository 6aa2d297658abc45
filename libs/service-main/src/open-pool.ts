import { setTimeout as sleep } from 'node:timers/promises';
import { OperatorError } from '@evenfall/errors';
import { createPool, isConnectionFailure, type PoolOptions, type PostgresTarget, type Sql } from '@evenfall/postgres';

/** For a process that may be started before its Postgres is. */
export type Patience = { readonly signal: AbortSignal; /** Called once. */ onAway(why: string): void };

const PAUSE_MS = 500;

/**
 * Opens a pool on a server that answers. With patience it waits for one that cannot be reached; whatever else is wrong, and without
 * patience that too, is an `OperatorError`.
 */
export async function openPool(target: PostgresTarget, options: PoolOptions, patience?: Patience): Promise<Sql> {
  const sql = createPool(target, options);
  try {
    for (let isFirst = true; ; isFirst = false) {
      try {
        await sql`SELECT 1`;
        return sql;
      } catch (error) {
        if (!patience || !isConnectionFailure(error)) throw error;
        if (isFirst) patience.onAway(why(error));
        await sleep(PAUSE_MS, undefined, { signal: patience.signal });
      }
    }
  } catch (cause) {
    await sql.end({ timeout: 1 });
    throw new OperatorError(`The Postgres of EVENFALL_POSTGRES_URL cannot be used: ${why(cause)}.`, { cause });
  }
}

function why(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)) || 'it cannot be reached';
}
