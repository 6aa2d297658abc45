import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { percentile, round } from './report.ts';

/**
 * Says how fast the machine is right now: milliseconds of a fixed loop, and of a 4 KB write that is on disk, and how often a loop that does nothing
 * but look at the clock was kept from it for more than a millisecond, which is what the slowest hundredth of anything cannot be better than.
 * Figures of two runs can be compared only where these are alike.
 */
export function calibrate(): {
  readonly loop_ms: number;
  readonly write_ms: number;
  readonly pauses_per_s: number;
  readonly longest_pause_ms: number;
} {
  const loops = Array.from({ length: 3 }, () => timed(loop));
  const dir = mkdtempSync(join(tmpdir(), 'evenfall-calibrate-'));
  const file = openSync(join(dir, 'file'), 'w');
  const block = Buffer.alloc(4096, 1);
  const writes = Array.from({ length: 100 }, () =>
    timed(() => {
      writeSync(file, block);
      fdatasyncSync(file);
    }),
  );
  closeSync(file);
  rmSync(dir, { recursive: true });
  const pauses = pausesIn(LOOK_MS);
  return {
    loop_ms: round(Math.min(...loops)),
    write_ms: percentile(writes, 0.5),
    pauses_per_s: round((pauses.length * 1000) / LOOK_MS),
    longest_pause_ms: round(Math.max(0, ...pauses)),
  };
}

const LOOK_MS = 2_000;

function pausesIn(ms: number): number[] {
  const pauses: number[] = [];
  let last = performance.now();
  for (const until = last + ms; last < until;) {
    const now = performance.now();
    if (now - last > 1) pauses.push(now - last);
    last = now;
  }
  return pauses;
}

let sink = 0;
function loop(): void {
  for (let i = 0; i < 100_000_000; i++) sink = (sink + (i & 1023) * 7) | 0;
}

function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}
