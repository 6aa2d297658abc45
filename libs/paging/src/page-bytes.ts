/** What an answer holds at most: gRPC clients accept messages of 4 MiB by default. */
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

/** The items of a page, and the last of them where more follow. */
export type Page<T> = { readonly items: readonly T[]; readonly last: T | undefined };

/** Bytes of an item's tag and length in its answer. */
const FRAME_BYTES = 8;

/** Cuts what was found to a page: at most `size` items, and at most so many bytes. More follow if there are items beyond it. */
export function cutPage<T>(found: readonly T[], size: number, bytesOf: (item: T) => number): Page<T> {
  const items = found.slice(0, size);
  const count = countThatFit(items, (item) => bytesOf(item) + FRAME_BYTES);
  return { items: items.slice(0, count), last: found.length > count ? items[count - 1] : undefined };
}
