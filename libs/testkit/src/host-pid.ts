import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended
  }
};
const namespaceOf = (pid: string): string => {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return '';
  }
};

/**
 * The number by which this host knows a process that calls itself `pid`, in the PID namespace of a process with `entry` in its environment. Throws
 * unless there is exactly one.
 */
export function hostPid(entry: string, pid: number): number {
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const spaces = new Set(all.filter((each) => `${read(`/proc/${each}/environ`)}\0`.includes(entry)).map(namespaceOf));
  if (spaces.has(namespaceOf('self'))) spaces.delete(namespaceOf('self')); // launchers, which have the same environment
  const found = all.filter((each) => {
    const numbers = /^NSpid:\s+(.*)$/m.exec(read(`/proc/${each}/status`))?.[1]?.split(/\s+/) ?? [];
    return spaces.has(namespaceOf(each)) && Number(numbers.at(-1)) === pid;
  });
  if (spaces.size === 0) return pid; // there is no namespace
  if (found.length !== 1) throw new Error(`${found.length} processes are ${pid} where ${entry} is`);
  return Number(found[0]);
}
