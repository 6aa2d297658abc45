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

/**
 * Reaps its children when SIGCHLD comes. One signal may mean several ends, and ends of children of Node come by it as well, so it looks at all
 * of its own: 1 µs each. `status` is what `waitpid` says without waiting: undefined while the child lives, -1 if it is no child.
 */
export function reaper(status: (pid: number) => number | undefined): Reaper {
  const children = new Map<number, (end: ChildEnd) => void>();
  let starting = 0;
  let isListening = false;
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
    if (children.size + starting > 0 || !isListening) return;
    process.off('SIGCHLD', look);
    isListening = false;
  };
  return {
    add(pid) {
      starting -= 1;
      return new Promise((resolve) => children.set(pid, resolve));
    },
    listen() {
      starting += 1;
      if (isListening) return;
      process.on('SIGCHLD', look);
      isListening = true;
    },
    ignoreOne() {
      starting -= 1;
      rest();
    },
  };
}
