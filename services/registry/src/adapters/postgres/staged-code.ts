import { randomUUID } from 'node:crypto';
import type { Sql } from '@evenfall/postgres';

/** Parameters are written as text, twice their size: one of this size takes some milliseconds. */
const PIECE_BYTES = 512 * 1024;

/** A connection, and the bytes as an expression of a statement on it. */
export type Staged<T> = (on: Sql, data: ReturnType<Sql>) => Promise<T>;

/**
 * Runs a statement that stores bytes, within a transaction. Large ones go ahead of it in pieces, so that the event loop is not held while all of them are
 * written.
 */
export async function withStaged<T>(on: Sql, bytes: Buffer, run: Staged<T>): Promise<T> {
  if (bytes.length <= PIECE_BYTES) return run(on, on`${bytes}::bytea`);
  const upload = randomUUID();
  for (let n = 0; n * PIECE_BYTES < bytes.length; n++)
    await on`INSERT INTO registry.code_piece (upload, n, data) VALUES (${upload}, ${n}, ${bytes.subarray(n * PIECE_BYTES, (n + 1) * PIECE_BYTES)})`;
  const result = await run(on, on`(SELECT string_agg(data, ''::bytea ORDER BY n) FROM registry.code_piece WHERE upload = ${upload})`);
  await on`DELETE FROM registry.code_piece WHERE upload = ${upload}`;
  return result;
}
