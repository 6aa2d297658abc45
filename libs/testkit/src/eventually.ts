import { setTimeout as sleep } from 'node:timers/promises';
import { patient } from './patient.ts';

/** Waits until the claim holds (returns something other than undefined or false, without throwing); fails with its last complaint. */
export async function eventually<T>(claim: () => T | Promise<T>, withinMs = 5_000): Promise<Exclude<T, undefined | false>> {
  const limitMs = patient(withinMs);
  const until = performance.now() + limitMs;
  let complaint: unknown = new Error('it never held');
  for (;;) {
    try {
      const value = await claim();
      if (value !== undefined && value !== false) return value as Exclude<T, undefined | false>;
    } catch (error) {
      complaint = error;
    }
    if (performance.now() > until) throw new Error(`Not within ${limitMs} ms`, { cause: complaint });
    await sleep(5);
  }
}
