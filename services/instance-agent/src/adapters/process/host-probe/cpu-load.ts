import { readFileSync } from 'node:fs';

/** How much the newest look counts: the kernel counts in ticks of 10 ms, so a short look is a rough one. */
const NEWEST = 0.3;

/** Answers the share of the host's processors that has been busy lately, from 0 to 1, smoothed over the last few calls. */
export function createCpuLoad(): () => number {
  let before = read();
  let busy = 0;
  return () => {
    const now = read();
    const total = now.total - before.total;
    const idle = now.idle - before.idle;
    before = now;
    if (total > 0) busy += (1 - idle / total - busy) * NEWEST;
    return busy;
  };
}

/**
 * Ticks of all processors together, from the first line of /proc/stat (proc_stat(5)). `os.cpus()` reads three files and more for each processor, ten times
 * a second on the event loop.
 */
function read(): { readonly idle: number; readonly total: number } {
  const [user = 0, nice = 0, system = 0, idle = 0, , irq = 0] = readFileSync('/proc/stat', 'latin1')
    .slice(0, 256)
    .split('\n', 1)
    .join('')
    .split(/\s+/)
    .slice(1)
    .map(Number);
  return { idle, total: user + nice + system + idle + irq };
}
