/**
 * Cuts a list into parts of so many bytes at most, in order; one item that is larger goes alone. The list itself, not a copy, where it fits:
 * most do. An empty list has no part.
 */
export function inParts<T>(items: readonly T[], bytesOf: (item: T) => number, maxBytes: number): readonly (readonly T[])[] {
  const parts: (readonly T[])[] = [];
  let start = 0;
  let bytes = 0;
  for (let at = 0; at < items.length; at++) {
    const size = bytesOf(items[at] as T); // at is within the list
    if (at > start && bytes + size > maxBytes) {
      parts.push(items.slice(start, at));
      start = at;
      bytes = 0;
    }
    bytes += size;
  }
  if (start === 0) return items.length === 0 ? [] : [items];
  parts.push(items.slice(start));
  return parts;
}
