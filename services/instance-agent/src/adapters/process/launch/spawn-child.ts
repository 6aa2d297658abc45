import { spawn } from 'node:child_process';
import type { Duplex } from 'node:stream';

/** What a child gets as one descriptor: nothing, one end of a socket pair, or a descriptor of this process. */
export type ChildDescriptor = 'none' | 'socket' | number;

export type ChildOptions = {
  /** Path of the program. */
  readonly program: string;
  readonly args: readonly string[];
  /** The complete environment. */
  readonly env: Readonly<Record<string, string>>;
  /** By number, from 0. */
  readonly descriptors: readonly ChildDescriptor[];
};

export type Child = {
  /** undefined if it could not be started: `onEnd` reports why. */
  readonly pid: number | undefined;
  /** Our ends of its sockets, by the child's number of the descriptor; null where it has none. */
  readonly sockets: readonly (Duplex | null)[];
  /** Calls once, after the child is reaped, with its exit code or the signal that ended it, or with the error for which it never started. */
  onEnd(listener: (end: ChildEnd) => void): void;
};

export type ChildEnd = { readonly code: number | null; readonly signal: string | null; readonly fault?: string };

/** Starts a child in a session of its own, in `/`. Throws if descriptors are used up; nothing is left then. */
export type SpawnChild = (terms: ChildOptions) => Child;

/** By Node, which forks: 20 ms for a platform of 350 MB, in which nothing else goes on, because the kernel copies the tables of its memory. */
export const spawnByFork: SpawnChild = ({ program, args, env, descriptors }) => {
  const stdio = descriptors.map((each) => (each === 'none' ? 'ignore' : each === 'socket' ? 'pipe' : each));
  const child = spawn(program, args, { cwd: '/', env, detached: true, stdio });
  child.on('error', () => undefined); // `onEnd` listens too: an error without a listener would end the agent
  // Without a descriptor left there are no streams either, which the type does not show.
  if (!(child.stdio as unknown)) throw new Error('descriptors are used up');
  return {
    pid: child.pid,
    sockets: descriptors.map((each, fd) => (each === 'socket' ? (child.stdio[fd] as Duplex) : null)), // 'pipe' makes a socket pair: both directions
    onEnd(listener) {
      child.on('error', (error) => listener({ code: null, signal: null, fault: error.message }));
      child.on('exit', (code, signal) => listener({ code, signal }));
    },
  };
};
