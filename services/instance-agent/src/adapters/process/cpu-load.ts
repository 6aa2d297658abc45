import { cpus } from 'node:os';

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

function read(): { readonly idle: number; readonly total: number } {
  let idle = 0;
  let total = 0;
  for (const { times } of cpus()) {
    idle += times.idle;
    total += times.idle + times.user + times.sys + times.nice + times.irq;
  }
  return { idle, total };
}
