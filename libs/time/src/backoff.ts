export type BackoffTerms = {
  /** Pause after the first failure, in milliseconds. */
  readonly firstMs: number;
  /** Longest pause, in milliseconds. */
  readonly mostMs: number;
};

/** Pauses between the tries of one loop. */
export type Backoff = {
  /** The pause before the next try, in milliseconds: twice the previous one, up to the longest. */
  next(): number;
  /** Makes the next pause the first one again: call it after a success. */
  reset(): void;
};

/** The exponent beyond which a pause is the longest one in any case: `2 ** n` stays a finite number. */
const MOST_DOUBLINGS = 40;

/** The pause after `failures` failures in a row, in milliseconds; 0 without a failure. Jitter is the caller's: it multiplies what it gets. */
export function backoffMs({ firstMs, mostMs }: BackoffTerms, failures: number): number {
  return failures <= 0 ? 0 : Math.min(firstMs * 2 ** Math.min(failures - 1, MOST_DOUBLINGS), mostMs);
}

/** A back-off that counts the failures in a row itself. */
export function createBackoff(terms: BackoffTerms): Backoff {
  let failures = 0;
  return {
    next: () => backoffMs(terms, ++failures),
    reset() {
      failures = 0;
    },
  };
}
