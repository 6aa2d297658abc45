import { setTimeout as sleep } from 'node:timers/promises';

export type LoopOptions = {
  readonly name: string;
  readonly signal: AbortSignal;
  /** Told of every failure of a round. */
  readonly onFailure: (error: unknown, name: string) => void;
  /** Pause after a failure; doubles up to `maxPauseMs`. Default 200. */
  readonly minPauseMs?: number;
  /** Default 5,000. */
  readonly maxPauseMs?: number;
};

/** Runs `round` again and again until the signal; a round that fails is reported and tried again after a pause that grows. */
export async function superviseLoop(options: LoopOptions, round: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const least = options.minPauseMs ?? 200;
  const most = options.maxPauseMs ?? 5_000;
  let pauseMs = least;
  while (!options.signal.aborted) {
    const begunMs = performance.now();
    try {
      await round(options.signal);
      pauseMs = least;
    } catch (error) {
      if (options.signal.aborted) return;
      options.onFailure(error, options.name);
      if (performance.now() - begunMs > most) pauseMs = least; // it went well for a while: a new trouble, not the old one
      await sleep(pauseMs, undefined, { signal: options.signal }).catch(() => undefined); // woken by the signal: the loop ends
      pauseMs = Math.min(pauseMs * 2, most);
    }
  }
}
