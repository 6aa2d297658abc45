/** Width of a partition of what is kept by time, in milliseconds: six hours, counted from the epoch. */
export const SPAN_MS = 6 * 3_600_000;

/** The span a time is in: where it begins, in milliseconds since the epoch. */
export function spanOf(timeMs: number): number {
  return Math.floor(timeMs / SPAN_MS) * SPAN_MS;
}

/** The first span that lies wholly at or after a time. */
export function spanFrom(timeMs: number): number {
  return Math.ceil(timeMs / SPAN_MS) * SPAN_MS;
}

/** A range of end times, left closed and right open. */
export type EndRange = { readonly fromMs: number; readonly toMs: number };

/** How far the clock of who ended an event may be ahead of this one's. */
const SKEW_MS = 3_600_000;

/** Nothing has ended at this time or later: partitions made ahead need not be looked at. */
export function noEndFrom(nowMs: number): number {
  return spanOf(nowMs + SKEW_MS) + SPAN_MS;
}

/**
 * Cuts a range of end times into pieces to be searched for the events that started last, newest piece first: an event starts before it ends, so
 * what starts after a piece began cannot lie in an older one, and the search may stop there. The newest piece is one to two spans, and each
 * further one twice the one before: who finds little looks at few pieces.
 */
export function newestFirst({ fromMs, toMs }: EndRange, nowMs: number): EndRange[] {
  const pieces: EndRange[] = [];
  let width = SPAN_MS;
  let upTo = toMs;
  let at = spanOf(Math.min(toMs, nowMs)) - width;
  while (at > fromMs) {
    pieces.push({ fromMs: at, toMs: upTo });
    upTo = at;
    width *= 2;
    at -= width;
  }
  pieces.push({ fromMs, toMs: upTo });
  return pieces;
}
