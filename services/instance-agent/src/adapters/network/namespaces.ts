import { closeSync, openSync, writeSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import type { Libc } from './libc.ts';

/** A network namespace, which lives as long as this is open, or a process or a socket of it is. */
export type Namespace = {
  /** Where the kernel shows it, for programs that are told by path. */
  readonly path: string;
  /** Runs something in it, on this thread and to its end: nothing else of this process may happen there. */
  enter<T>(action: () => T): T;
  close(): void;
};

const OF_THIS_THREAD = '/proc/thread-self/ns/net';
/** As a supervisor reads it (sysexits.h, EX_OSERR). */
const OS_ERROR = 71;

/**
 * Makes network namespaces, all on the main thread: what it forks is born where it is, what it opens belongs there, and `/proc/net` shows it.
 * The other threads of Node were there before and stay at home; nothing that would begin one may be called in `enter`.
 */
export function openNamespaces(libc: Libc): { make(): Namespace; close(): void } {
  if (!isMainThread) throw new Error('network namespaces are entered by the main thread alone');
  const home = openSync(OF_THIS_THREAD, 'r');
  let isAway = false;
  const goHome = (): void => {
    try {
      libc.enterNetwork(home);
    } catch (error) {
      // Whatever this process did next would be done in a function's network.
      writeSync(2, `The agent cannot get back into its own network and ends: ${error instanceof Error ? error.message : String(error)}\n`);
      process.exit(OS_ERROR);
    }
    isAway = false;
  };
  const away = <T>(leave: () => void, action: () => T): T => {
    if (isAway) throw new Error('one network is entered at a time');
    leave();
    isAway = true;
    try {
      return action();
    } finally {
      goHome();
    }
  };
  return {
    make() {
      const fd = away(libc.newNetwork, () => {
        libc.raiseLoopback();
        return openSync(OF_THIS_THREAD, 'r');
      });
      let isOpen = true;
      return {
        path: `/proc/${process.pid}/fd/${fd}`,
        enter(action) {
          if (!isOpen) throw new Error('the network of an instance that is over is not entered');
          return away(() => libc.enterNetwork(fd), action);
        },
        close() {
          if (isOpen) closeSync(fd);
          isOpen = false;
        },
      };
    },
    close: () => closeSync(home),
  };
}
