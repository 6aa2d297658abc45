const FIRST_MS = 1_000;
const MOST_MS = 5 * 60_000;

/** How long a system error waits: full jitter under a ceiling that doubles from 1 s to 5 min. `random` is in [0, 1). */
export function systemBackoffMs(errorsBefore: number, random: number): number {
  return Math.round(random * Math.min(MOST_MS, FIRST_MS * 2 ** Math.min(errorsBefore, 20)));
}
