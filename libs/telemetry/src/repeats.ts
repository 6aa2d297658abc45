/** Counts what happens again and again at one place, so that a log says it once in a while. */
export type Repeats = {
  /** Notes that it happened. Answers how often it did since it was said last, this time included; undefined while it need not be said again. */
  note(place: string): number | undefined;
};

/** Places kept: who names them may be a function, so that there is no end of them. */
const MOST_PLACES = 1_000;

/** What happens at one place is said at once, and then after `silenceMs` at the earliest, by a monotonic clock. */
export function createRepeats(silenceMs: number, monotonic: () => number = () => performance.now()): Repeats {
  const places = new Map<string, { readonly loggedMs: number; unsaid: number }>();
  return {
    note(place) {
      const nowMs = monotonic();
      const known = places.get(place);
      if (known && nowMs - known.loggedMs < silenceMs) {
        known.unsaid++;
        return undefined;
      }
      places.delete(place); // the newest are last
      places.set(place, { loggedMs: nowMs, unsaid: 0 });
      for (const oldest of places.keys()) {
        if (places.size <= MOST_PLACES) break;
        places.delete(oldest);
      }
      return (known?.unsaid ?? 0) + 1;
    },
  };
}
