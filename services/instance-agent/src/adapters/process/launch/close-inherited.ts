import { closeSync, readdirSync, readFileSync } from 'node:fs';

/** O_CLOEXEC as `/proc/self/fdinfo` shows it (fcntl.h). */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes what this process was started with beyond its three standard descriptors: children inherit everything that is not marked otherwise,
 * and Node marks all of its own. Returns how many there were.
 */
export function closeInherited(): number {
  let count = 0;
  for (const name of readdirSync('/proc/self/fd')) {
    const fd = Number(name);
    if (fd <= 2 || (flagsOf(fd) & CLOSE_ON_EXEC) !== 0) continue;
    closeSync(fd);
    count += 1;
  }
  return count;
}

/** Of one that has gone meanwhile: as if it were marked. */
function flagsOf(fd: number): number {
  try {
    return Number.parseInt(/^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1] ?? '', 8) || 0;
  } catch {
    return CLOSE_ON_EXEC;
  }
}
