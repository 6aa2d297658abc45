import { closeSync, fchownSync } from 'node:fs';
import { Socket } from 'node:net';

/** O_CLOEXEC of Linux, on the processors that Node is built for. */
const CLOSE_ON_EXEC = 0o2000000;

/** One pipe for what a process writes: `source` is read here, `sink` is the descriptor to start it with. */
export type OutputPipe = { readonly source: Socket; readonly sink: number };
export type OpenPipe = (owner: number | undefined) => OutputPipe;

/**
 * Finds out whether this process can make pipes, which Node cannot: what it calls a pipe of a child is a socket, and a socket cannot be opened by
 * its name `/dev/stdout`, as supervisord, nginx, `tee /dev/stderr` and Python's `FileHandler` do. undefined where the C library is out of reach.
 * It costs 8 MB and 20 ms, once.
 */
export async function findPipes(): Promise<OpenPipe | undefined> {
  let pipe2: (fds: Int32Array, flags: number) => unknown;
  try {
    const { default: koffi } = await import('koffi');
    pipe2 = koffi.load(null).func('int pipe2(void *fds, int flags)') as typeof pipe2; // as the line above declares it
  } catch {
    return undefined;
  }
  return (owner) => {
    const fds = new Int32Array(2);
    if (pipe2(fds, CLOSE_ON_EXEC) !== 0) throw new Error('The kernel makes no pipe: descriptors are used up');
    const [source = -1, sink = -1] = fds;
    // To open a pipe by name needs the rights of its owner.
    if (owner !== undefined) fchownSync(sink, owner, owner);
    return { source: new Socket({ fd: source, readable: true, writable: false }), sink };
  };
}

/** Closes the end that a child has by now, or never got. */
export function closeSinks(pipes: readonly OutputPipe[]): void {
  for (const { sink } of pipes) closeSync(sink);
}
