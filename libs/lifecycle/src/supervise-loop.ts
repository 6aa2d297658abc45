import { setTimeout as sleep } from 'node:timers/promises';
import { createBackoff } from '@evenfall/time';

export type LoopOptions = {
  readonly name: string;
  readonly signal: AbortSignal;
  /** Called for every failed round. */
  readonly onFailure: (error: unknown, name: string) => void;
  /** Pause after a failure; doubles up to `maxPauseMs`. Default 200. */
  readonly minPauseMs?: number;
  /** Default 5,000. */
  readonly maxPauseMs?: number;
};

/** Runs `round` again and again until the signal; a round that fails is reported and tried again after a pause that grows. */
export async function superviseLoop(options: LoopOptions, round: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const most = options.maxPauseMs ?? 5_000;
  const backoff = createBackoff({ firstMs: options.minPauseMs ?? 200, mostMs: most });
  while (!options.signal.aborted) {
    const begunMs = performance.now();
    try {
      await round(options.signal);
      backoff.reset();
    } catch (error) {
      if (options.signal.aborted) return;
      options.onFailure(error, options.name);
      if (performance.now() - begunMs > most) backoff.reset(); // it went well for a while: a new trouble, not the old one
      await sleep(backoff.next(), undefined, { signal: options.signal }).catch(() => undefined); // woken by the signal: the loop ends
    }
  }
}
