import { constants } from 'node:os';

const SHELL_BASE = 128;
const NAMES = new Map(Object.entries(constants.signals).map(([name, number]) => [number, name]));

/**
 * How the function's process ended. bwrap tells of a death by signal as shells do, with 128 and the number: behind it, a program that exits
 * with such a code by itself cannot be told from one that died.
 */
export function exitOf(
  code: number | null,
  signal: string | null,
  isBoxed: boolean,
): { readonly code: number | null; readonly signal: string | null } {
  const name = isBoxed && code !== null ? NAMES.get(code - SHELL_BASE) : undefined;
  return name === undefined ? { code, signal } : { code: null, signal: name };
}
