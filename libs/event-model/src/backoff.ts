import { backoffMs } from '@evenfall/time';

const WAIT = { firstMs: 1_000, mostMs: 5 * 60_000 };

/** How long a system error waits: full jitter under a ceiling that doubles from 1 s to 5 min. `random` is in [0, 1). */
export function systemBackoffMs(errorsBefore: number, random: number): number {
  return Math.round(random * backoffMs(WAIT, errorsBefore + 1));
}
