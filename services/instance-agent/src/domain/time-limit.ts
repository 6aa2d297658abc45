/** The longest a caller can wait for an answer (semantics §3). */
const MAX_CALL_MS = 900_000;

/** How long an attempt may take: as long as its function's timeout, but a synchronous call at most 900 s. */
export function timeLimitMs(timeoutMs: number, synchronous: boolean): number {
  return synchronous && timeoutMs > MAX_CALL_MS ? MAX_CALL_MS : timeoutMs;
}
