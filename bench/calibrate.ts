import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { percentile, round } from './report.ts';

/**
 * Says how fast the machine is right now: milliseconds of a fixed loop, and of a 4 KB write that is on disk. Figures of two runs can be
 * compared only where these are alike.
 */
export function calibrate(): { readonly loop_ms: number; readonly write_ms: number } {
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
  return { loop_ms: round(Math.min(...loops)), write_ms: percentile(writes, 0.5) };
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
