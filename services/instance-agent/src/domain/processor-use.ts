/** How much of a processor an instance uses, by one look after another. */
export type ProcessorUse = {
  /** Of processor time since the instance was made, microseconds, at the last look. */
  usedUs: number;
  lookMs: number;
  /** Whether it uses so little that it comes before others: it cannot keep them from much. */
  isLight: boolean;
};

/** Of one processor: below the first an instance is light, above the second it is not. Between them nothing changes, so that no instance goes to and fro. */
const LIGHT_BELOW = 0.1;
const HEAVY_FROM = 0.25;
/** Shorter spans prove little: a process that has just started, or was just let run, uses all of a processor for a moment. */
const LEAST_MS = 200;

/** What is not known to use little. */
export function newProcessorUse(nowMs: number): ProcessorUse {
  return { usedUs: 0, lookMs: nowMs, isLight: false };
}

/** Notes how much it has used; answers whether `isLight` has changed. @param usedUs undefined where the kernel does not report it: then no instance is light */
export function lookAtUse(use: ProcessorUse, usedUs: number | undefined, nowMs: number): boolean {
  const spanMs = nowMs - use.lookMs;
  if (usedUs === undefined || spanMs < LEAST_MS) return false;
  const share = (usedUs - use.usedUs) / (spanMs * 1_000);
  use.usedUs = usedUs;
  use.lookMs = nowMs;
  const isLight = use.isLight ? share < HEAVY_FROM : share < LIGHT_BELOW;
  const isOther = isLight !== use.isLight;
  use.isLight = isLight;
  return isOther;
}
