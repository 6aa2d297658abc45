import { constants } from 'node:os';

/** How a child ended, from its status as `waitpid` returns it. */
export function endOfStatus(status: number): { code: number | null; signal: string | null } {
  const signal = status & 0x7f;
  return signal === 0 ? { code: (status >> 8) & 0xff, signal: null } : { code: null, signal: signalName(signal) };
}

/** The name of a signal. One of several is the first that Node lists: SIGABRT, not SIGIOT. */
export function signalName(signal: number): string {
  return NAMES.get(signal) ?? `SIG${signal}`;
}

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);
