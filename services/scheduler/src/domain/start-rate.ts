/** Limits the instance starts of any minute, by a bucket that fills evenly. */
export type StartRate = { reserve(nowMs: number): boolean };

export function createStartRate(perMinute: number): StartRate {
  let tokens = perMinute;
  let filledMs = 0;
  return {
    reserve(nowMs) {
      tokens = Math.min(perMinute, tokens + ((nowMs - filledMs) / 60_000) * perMinute);
      filledMs = nowMs;
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}
