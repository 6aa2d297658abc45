import { readdirSync, readFileSync } from 'node:fs';

/** Living processes whose environment holds this entry. */
export function pidsCarrying(entry: string): number[] {
  return allPids().filter((pid) => read(`/proc/${pid}/environ`).split('\0').includes(entry) && isAlive(pid));
}

/** The same without the launchers of functions and the first processes of their namespaces, which have the environment of what they start. */
export function functionPidsCarrying(entry: string): number[] {
  return pidsCarrying(entry).filter((pid) => !read(`/proc/${pid}/cmdline`).includes('/evenfall-launch-'));
}

/** Whether a process has this text anywhere in its environment. */
export function environmentContains(pid: number, text: string): boolean {
  return read(`/proc/${pid}/environ`).includes(text);
}

/** Living processes whose command line holds this text. */
export function pidsWithEnvironment(text: string): number[] {
  return allPids().filter((pid) => read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').includes(text) && isAlive(pid));
}

export function isAlive(pid: number): boolean {
  return /^State:\s+[^ZX]/m.test(read(`/proc/${pid}/status`));
}

/** Megabytes a process holds. */
export function residentMb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;
}

function allPids(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has ended, or belongs to another user
  }
}
