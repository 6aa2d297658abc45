import { refuse, type Refusal } from '@evenfall/errors';
import { type Bucket, fullBucket, type Rate, removeTokens, tokensOf, waitOf } from './token-bucket.ts';

/** Whose rate it is. */
export type Limited = { readonly scope: 'key' | 'namespace'; readonly name: string; readonly rate: Rate };

export type RateLimits = {
  /** Reserves so many in every bucket, or in none: then it returns why. */
  reserve(limited: readonly Limited[], count: number, nowMs: number): Refusal | undefined;
  readonly size: number;
};

/** Buckets that are kept before it is looked which of them are full: a full one is as good as none. */
const LEAST_LOOK = 1_000;

/** A bucket for everything that has a rate, made when it is first asked for. */
export function createRateLimits(): RateLimits {
  const buckets = new Map<string, { readonly bucket: Bucket; readonly rate: Rate }>();
  let lookAt = LEAST_LOOK;
  const bucketOf = ({ scope, name, rate }: Limited, nowMs: number): Bucket => {
    const key = `${scope} ${name}`;
    const kept = buckets.get(key);
    if (kept?.rate.perSecond === rate.perSecond && kept.rate.burst === rate.burst) return kept.bucket; // another rate begins anew
    if (buckets.size >= lookAt) {
      for (const [other, { bucket, rate: its }] of buckets) if (tokensOf(bucket, its, nowMs) >= its.burst) buckets.delete(other);
      lookAt = Math.max(LEAST_LOOK, buckets.size * 2);
    }
    const bucket = fullBucket(rate, nowMs);
    buckets.set(key, { bucket, rate });
    return bucket;
  };
  return {
    get size() {
      return buckets.size;
    },
    reserve(limited, count, nowMs) {
      const all = limited.map((one) => ({ ...one, bucket: bucketOf(one, nowMs) }));
      let longest: { readonly one: (typeof all)[number]; readonly waitMs: number } | undefined;
      let available = Infinity;
      for (const one of all) {
        const waitMs = waitOf(one.bucket, one.rate, count, nowMs);
        if (waitMs > (longest?.waitMs ?? 0)) longest = { one, waitMs };
        available = Math.min(available, Math.floor(Math.max(0, tokensOf(one.bucket, one.rate, nowMs))));
      }
      if (!longest) {
        for (const { bucket, rate } of all) removeTokens(bucket, rate, count, nowMs);
        return undefined;
      }
      const { scope, name, rate, bucket } = longest.one;
      const said = { scope, name, limit: rate.perSecond, available };
      if (longest.waitMs !== Infinity) return refuse('RATE_LIMITED', { ...said, retry_after_ms: longest.waitMs });
      // What never fits as a whole may in parts, but for where nothing is let in at all.
      const oneMs = waitOf(bucket, rate, 1, nowMs);
      const later = oneMs === Infinity ? {} : { retry_after_ms: Math.max(oneMs, 1) };
      return refuse('BURST_EXCEEDED', { ...said, burst: rate.burst, events: count, ...later });
    },
  };
}
