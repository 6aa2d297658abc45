/** What an answer holds at most: a gRPC client takes messages of 4 MiB unless it is told otherwise. */
export const PAGE_BYTES: number = 3.5 * 1024 * 1024;

/** How many items from the first on fit in a page; one at least, if there is one. */
export function countThatFit<T>(items: readonly T[], bytesOf: (item: T) => number, maxBytes: number = PAGE_BYTES): number {
  let bytes = 0;
  for (const [i, item] of items.entries()) {
    bytes += bytesOf(item);
    if (i > 0 && bytes > maxBytes) return i;
  }
  return items.length;
}
