import { backoffMs } from '@evenfall/time';
import type { Instance, Pool } from './types.ts';

/** An instance that ends sooner than this and has answered nothing has crashed. */
const CRASH_WITHIN_MS = 5_000;
/** So many may crash in a row before anything waits: a few bad events are no crash loop. */
const FREE_CRASHES = 3;
const PAUSE = { firstMs: 200, mostMs: 30_000 };

/**
 * Notes the end of an instance. A function whose instances crash one after the other gets a new one only after a pause, which doubles from
 * 0.2 s to 30 s: it burns its own time, not the hosts'. One instance on which anything comes to an answer ends that.
 */
export function noteGone(instance: Instance, startFailed: boolean, nowMs: number): void {
  const { pool } = instance;
  if (instance.proven) return noteProven(pool);
  if (!startFailed && nowMs - instance.startMs > CRASH_WITHIN_MS) return;
  pool.crashes += 1;
  const over = pool.crashes - FREE_CRASHES;
  if (over >= 0) pool.startsAfterMs = nowMs + backoffMs(PAUSE, over + 1);
}

export function noteProven(pool: Pool): void {
  pool.crashes = 0;
  pool.startsAfterMs = 0;
}
