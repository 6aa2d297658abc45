import type { BackoffTerms } from '@evenfall/time';

/** Pauses between tries to read, join or connect. A broker that restarts is back within seconds: longer pauses would only add to its absence. */
export const RETRY: BackoffTerms = { firstMs: 50, mostMs: 2_000 };
