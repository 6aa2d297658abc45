import { cpus } from 'node:os';

/** Answers the share of the host's processors that was busy since it was last asked, from 0 to 1. */
export function createCpuLoad(): () => number {
  let before = read();
  return () => {
    const now = read();
    const total = now.total - before.total;
    const idle = now.idle - before.idle;
    before = now;
    return total <= 0 ? 0 : Math.max(0, 1 - idle / total);
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
