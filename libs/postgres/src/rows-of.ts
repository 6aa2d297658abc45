import type { PendingQuery, Row } from 'postgres';

/** What a query holds, by the names postgres.js gives it. */
type Carried = { args: unknown; parameters: unknown; string: unknown; signature: unknown };

/**
 * Awaits a query, and releases all that it holds. postgres.js assigns a function to a property of every query, and V8 puts functions that are
 * assigned so into its old space at once: until the next major collection such a query is kept, and its parameters and rows with it. Minor
 * collections would copy them twice, which made for pauses of 5 ms and more. For statements that are sent often or carry much. The query cannot
 * be awaited again.
 */
export async function rowsOf<T extends Row>(query: PendingQuery<T[]>): Promise<T[]> {
  const result = await query;
  const rows = result.slice();
  result.length = 0;
  const carried: Carried = { args: undefined, parameters: undefined, string: undefined, signature: undefined };
  void Object.assign(query, carried);
  return rows;
}
