/** How many tokens come in a second, and how many there are at most. */
export type Rate = { readonly perSecond: number; readonly burst: number };

/** What there was at a time, in monotonic milliseconds. */
export type Bucket = { tokens: number; atMs: number };

/** A bucket that nothing was taken out of yet. */
export function fullBucket({ burst }: Rate, nowMs: number): Bucket {
  return { tokens: burst, atMs: nowMs };
}

/** Tokens there are now; a part of one among them. */
export function tokensOf({ tokens, atMs }: Bucket, { perSecond, burst }: Rate, nowMs: number): number {
  return Math.min(burst, tokens + (Math.max(0, nowMs - atMs) * perSecond) / 1_000);
}

/** Removes tokens, all of which are available. */
export function removeTokens(bucket: Bucket, rate: Rate, count: number, nowMs: number): void {
  bucket.tokens = tokensOf(bucket, rate, nowMs) - count;
  bucket.atMs = Math.max(bucket.atMs, nowMs);
}

/** Sums of fractions are off by far less than this: what lacks no more is there. */
const NOTHING = 1e-6;

/** Milliseconds until so many are there, rounded up; Infinity for more than it holds. */
export function waitOf(bucket: Bucket, rate: Rate, count: number, nowMs: number): number {
  const missing = count - tokensOf(bucket, rate, nowMs);
  if (missing <= NOTHING) return 0;
  return count > rate.burst || rate.perSecond === 0 ? Infinity : Math.ceil((missing / rate.perSecond) * 1_000);
}
