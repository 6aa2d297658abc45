import { backoffMs } from '@evenfall/time';
import { addressKeyOf } from './address-key.ts';

export type GuessLimits = {
  /** Notes a wrong key from an address; answers how many milliseconds its answer is to wait. */
  failed(address: string | undefined): number;
  /** Addresses that are remembered. */
  readonly size: number;
};

/** Wrong keys of one address whose answers are not delayed: typing errors, or retries of a client with an old key. */
const FREE = 10;
/** One is forgotten after so long. */
const FORGET_ONE_MS = 5_000;
const DELAY = { firstMs: 500, mostMs: 10_000 };
/** Addresses remembered at most; who has more has a network, and the keys are long. */
const MOST_ADDRESSES = 10_000;

/**
 * Slows down guessing: beyond the first few the answer to each wrong key waits twice as long as the one before. Right keys do not come here, and are
 * never kept waiting by what others of their address do.
 */
export function createGuessLimits(monotonic: () => number = () => performance.now()): GuessLimits {
  const scores = new Map<string, { score: number; atMs: number }>();
  return {
    failed(remoteAddress) {
      const address = addressKeyOf(remoteAddress);
      const nowMs = monotonic();
      const known = scores.get(address);
      const left = known ? Math.max(0, known.score - (nowMs - known.atMs) / FORGET_ONE_MS) : 0;
      const score = Math.min(left + 1, FREE + 8); // some time after the last one it is forgotten again
      scores.delete(address); // the newest are last
      scores.set(address, { score, atMs: nowMs });
      if (scores.size > MOST_ADDRESSES) for (const oldest of scores.keys()) if (scores.delete(oldest)) break;
      return backoffMs(DELAY, Math.ceil(score - FREE));
    },
    get size() {
      return scores.size;
    },
  };
}
