import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import type { Duplex } from 'node:stream';
import { addressOf, type Libc, systemError } from './libc.ts';

/** A network that the server has made. */
export type Space = {
  /** The server's name for it, also where the kernel identifies a network by its descriptor. */
  readonly id: number;
  /** This process's own descriptor of it, to start others in it. The network lives as long as this is open, or a process or a socket of it is. */
  readonly fd: number;
};

/** The agent's own network, where the server was started. Out of reach in a user namespace. */
export const HOME = 0;

/** The launcher as a process that makes networks and works in them; native/README.md describes the messages. Answers come in the order of requests. */
export type NetworkServer = {
  /** A descriptor of the user namespace that its networks are of, which has to be entered first; undefined as root. */
  readonly ownerFd: number | undefined;
  make(): Promise<Space>;
  /** A socket of IPv4 in a network, for ever; at an address of it if one is given. The caller closes it. */
  socket(space: number, kind: keyof typeof KINDS, at?: { readonly address: string; readonly port: number }): Promise<number>;
  /** Sends the kernel messages of netlink in a network; resolves with its complete answer. */
  netlink(space: number, protocol: number, messages: Buffer): Promise<Buffer>;
  /** Has the server release a network; this process's own descriptor is closed too. */
  release(space: Space): void;
  close(): void;
};

// native/networks.c
const [MAKE, SOCKET, NETLINK, RELEASE] = [1, 2, 3, 4] as const;
const KINDS = { STREAM: 1, DATAGRAM: 2 } as const;
const REQUEST_BYTES = 16;
const ANSWER_BYTES = 8;
const NOTHING: Buffer = Buffer.alloc(0);
/** As a supervisor reads it (sysexits.h, EX_OSERR). */
const OS_ERROR = 71;

/** `fd` is the descriptor that came with it, -1 without. */
type Answer = { readonly result: number; readonly body: Buffer; readonly fd: number };
type Waiting = { readonly call: string; readonly brings: boolean; resolve(answer: Answer): void; reject(error: unknown): void };

/**
 * Throws where networks cannot be made here. Within a user namespace it needs fewer rights, and networks have no access to the host's. If the server is killed later this process ends: functions could not be reached any more.
 */
export async function openNetworkServer(libc: Libc, launcher: string, within: 'HOST' | 'USER_NAMESPACE'): Promise<NetworkServer> {
  const isUser = within === 'USER_NAMESPACE';
  const [descriptors, theirs] = libc.socketPair();
  const child = startServer(launcher, isUser, theirs);
  closeSync(theirs);
  const stream = child.stdio[3] as unknown as Duplex & { ref(): void; unref(): void }; // 'pipe' makes a socket pair
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString('utf8')));
  let isWanted = true;
  const waiting: Waiting[] = [];
  /** It must not keep a process alive that waits for nothing. */
  const rest = (): void => {
    child.unref();
    stream.unref();
  };
  // Each descriptor is received with its answer, before the next answer is read.
  onAnswers(stream, (result, body) => {
    const next = waiting.shift();
    if (waiting.length === 0) rest();
    if (!next) return;
    if (result < 0) return next.reject(systemError(next.call, -result));
    try {
      next.resolve({ result, body, fd: next.brings ? libc.receiveDescriptor(descriptors) : -1 });
    } catch (error) {
      next.reject(error);
    }
  });
  const ended = new Promise<Error>((resolve) => {
    child.once('error', resolve);
    child.once('close', (code) => resolve(new Error(errors.trim() || `the server of networks ended with ${code ?? 'a signal'}`)));
  });
  const close = (): void => {
    if (!isWanted) return;
    isWanted = false;
    stream.destroy();
    closeSync(descriptors);
  };
  const answered = (call: string, brings: boolean): Promise<Answer> => {
    child.ref();
    stream.ref();
    return new Promise((resolve, reject) => waiting.push({ call, brings, resolve, reject }));
  };
  const ask = (call: string, brings: boolean, what: number, space: number, argument: number, body = NOTHING): Promise<Answer> => {
    if (!isWanted) return Promise.reject(new Error('the server of networks is closed'));
    const head = Buffer.alloc(REQUEST_BYTES);
    [body.length, what, space, argument].forEach((value, at) => head.writeUInt32LE(value, at * 4));
    stream.write(Buffer.concat([head, body]));
    return answered(call, brings);
  };
  let ownerFd: number | undefined;
  try {
    const { fd } = await Promise.race([answered('start', isUser), ended.then((error) => Promise.reject(error))]);
    if (isUser && process.geteuid?.() !== 0) ownerFd = fd;
    else if (isUser) closeSync(fd); // root gets into networks of a namespace below its own as it is
  } catch (error) {
    close();
    throw error;
  }
  void ended.then((error) => {
    for (const each of waiting.splice(0)) each.reject(error);
    rest();
    if (!isWanted) return;
    writeSync(2, `The agent has lost the networks of its functions and ends: ${error.message}\n`);
    process.exit(OS_ERROR);
  });
  (child.stderr as unknown as { unref?(): void } | null)?.unref?.(); // a socket, which the type hides
  return {
    ownerFd,
    async make() {
      const { result, fd } = await ask('unshare', true, MAKE, HOME, 0);
      return { id: result, fd };
    },
    async socket(space, kind, at) {
      const { fd } = await ask(at ? 'bind' : 'socket', true, SOCKET, space, KINDS[kind], at && addressOf(at.address, at.port));
      return fd;
    },
    netlink: async (space, protocol, messages) => (await ask('netlink', false, NETLINK, space, protocol, messages)).body,
    release({ id, fd }) {
      closeSync(fd);
      // Where it has ended its descriptors have with it.
      if (isWanted) void ask('close', false, RELEASE, id, 0).catch(() => undefined);
    },
    close() {
      if (ownerFd !== undefined && isWanted) closeSync(ownerFd);
      close();
    },
  };
}

function startServer(launcher: string, isUser: boolean, theirs: number): ChildProcess {
  return spawn(launcher, ['--networks', ...(isUser ? ['user'] : [])], {
    cwd: '/',
    env: {},
    detached: true, // out of reach of a terminal's Ctrl-C
    stdio: ['ignore', 'ignore', 'pipe', 'pipe', theirs],
  });
}

function onAnswers(stream: Duplex, onAnswer: (result: number, body: Buffer) => void): void {
  let rest = NOTHING;
  stream.on('error', () => undefined); // the server's end is handled elsewhere
  stream.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= ANSWER_BYTES && rest.length >= ANSWER_BYTES + rest.readUInt32LE(0)) {
      const end = ANSWER_BYTES + rest.readUInt32LE(0);
      const [result, body] = [rest.readInt32LE(4), rest.subarray(ANSWER_BYTES, end)];
      rest = rest.subarray(end);
      onAnswer(result, body);
    }
  });
}
