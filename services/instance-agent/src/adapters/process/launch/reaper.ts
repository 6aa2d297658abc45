import type { ChildEnd } from './spawn-child.ts';
import { endOfStatus } from './child-status.ts';

/** Waits for children that Node does not know. */
export type Reaper = {
  /** Adds a child of this process; resolves once it has ended and its number is free. */
  add(pid: number): Promise<ChildEnd>;
  /** Listens for the signal of an end from now on, for a child that is about to start. */
  listen(): void;
  /** The child that was about to start did not. */
  ignoreOne(): void;
};

const LONG_MS = 2 ** 30;

/**
 * Reaps its children when SIGCHLD comes. One signal may mean several ends, and ends of children of Node come by it as well, so it looks at all
 * of its own: 1 µs each. `status` is what `waitpid` says without waiting: undefined while the child lives, -1 if it is no child.
 */
export function reaper(status: (pid: number) => number | undefined): Reaper {
  const children = new Map<number, (end: ChildEnd) => void>();
  let starting = 0;
  /** Exists while children do: a listener of a signal keeps no process running, and the end of a child must be seen. */
  let keptRunning: NodeJS.Timeout | undefined;
  const look = (): void => {
    for (const [pid, ended] of children) {
      const found = status(pid);
      if (found === undefined) continue;
      children.delete(pid);
      ended(found === -1 ? { code: null, signal: null, fault: 'the child is reaped by another' } : endOfStatus(found));
    }
    rest();
  };
  /** Without children no listener is needed: each signal costs one. */
  const rest = (): void => {
    if (children.size + starting > 0 || !keptRunning) return;
    process.off('SIGCHLD', look);
    clearInterval(keptRunning);
    keptRunning = undefined;
  };
  return {
    add(pid) {
      starting -= 1;
      return new Promise((resolve) => children.set(pid, resolve));
    },
    listen() {
      starting += 1;
      if (keptRunning) return;
      process.on('SIGCHLD', look);
      keptRunning = setInterval(() => undefined, LONG_MS);
    },
    ignoreOne() {
      starting -= 1;
      rest();
    },
  };
}
