import { closeSync, constants as files, openSync } from 'node:fs';
import { Socket } from 'node:net';
import { getSystemErrorMessage } from 'node:util';
import type { LibraryHandle } from 'koffi';
import { type Reaper, reaper } from './reaper.ts';
import type { Child, ChildDescriptor, ChildOptions, SpawnChild } from './spawn-child.ts';

// Linux, on the processors that Node is built for (sys/socket.h, fcntl.h, spawn.h of glibc and musl).
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030;
const SET_SIGNAL_DEFAULTS = 0x04;
const SET_SIGNAL_MASK = 0x08;
const SET_SESSION = 0x80;
/** More than `posix_spawnattr_t` (336 bytes), `posix_spawn_file_actions_t` (80) and `sigset_t` (128) need. */
const STRUCT_BYTES = 512;
/** Descriptors from here on are never among those of a child: to put one into its place does not overwrite another. */
const BEYOND_CHILD = 64;
/** SIGKILL and SIGSTOP have no other disposition. Of 32 and 33, its own, glibc makes ignored ones in a child by default. */
const NOT_SETTABLE = [9, 19];

/**
 * Starts children by `posix_spawn`, which shares this process's memory with the child until its program runs: 0.2 ms for a platform of 350 MB where
 * a fork takes 20. undefined where the C library is out of reach or has no `posix_spawn_file_actions_addchdir_np` (glibc before 2.29).
 */
export async function findPosixSpawn(): Promise<SpawnChild | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const calls = callsOf(koffi.load(null));
    const wait = calls.waitpid;
    return spawnWith(
      calls,
      reaper((pid) => wait(pid)),
    );
  } catch {
    return undefined;
  }
}

type Calls = ReturnType<typeof callsOf>;

/** Every call answers 0 or an error number, but for those that answer a descriptor or a pid. */
function callsOf(library: LibraryHandle) {
  type Call = (...args: unknown[]) => number;
  const call = (prototype: string): Call => library.func(prototype); // as each prototype declares it
  const waitpid = call('int waitpid(int pid, _Out_ int *status, int options)');
  const WNOHANG = 1;
  return {
    spawn: call('int posix_spawn(_Out_ int *pid, const char *path, void *actions, void *attributes, const char **args, const char **env)'),
    initActions: call('int posix_spawn_file_actions_init(void *actions)'),
    destroyActions: call('int posix_spawn_file_actions_destroy(void *actions)'),
    addDuplicate: call('int posix_spawn_file_actions_adddup2(void *actions, int fd, int into)'),
    addFolder: call('int posix_spawn_file_actions_addchdir_np(void *actions, const char *path)'),
    initAttributes: call('int posix_spawnattr_init(void *attributes)'),
    setFlags: call('int posix_spawnattr_setflags(void *attributes, short flags)'),
    setDefaults: call('int posix_spawnattr_setsigdefault(void *attributes, const void *signals)'),
    setMask: call('int posix_spawnattr_setsigmask(void *attributes, const void *signals)'),
    socketPair: call('int socketpair(int family, int type, int protocol, void *fds)'),
    duplicate: call('int fcntl(int fd, int command, ...)'),
    /** The status of a child that has ended, which it frees; undefined while it lives. -1 if there is no such child. */
    waitpid(pid: number): number | undefined {
      const status = [0];
      const found = waitpid(pid, status, WNOHANG);
      return found === 0 ? undefined : found === pid ? (status[0] ?? -1) : -1;
    },
  };
}

function spawnWith(calls: Calls, children: Reaper): SpawnChild {
  const attributes = attributesOf(calls);
  const nothing = openSync('/dev/null', files.O_RDWR);
  return (terms) => {
    checkText(terms);
    const opened: number[] = [];
    const sockets: (Socket | null)[] = [];
    try {
      const sources = terms.descriptors.map((each) => sourceOf(calls, each, nothing, opened, sockets));
      const actions = actionsOf(calls, sources);
      try {
        return start(calls, children, terms, actions, attributes, sockets);
      } finally {
        calls.destroyActions(actions);
      }
    } catch (error) {
      for (const socket of sockets) socket?.destroy();
      throw error;
    } finally {
      for (const fd of opened) closeSync(fd); // the child has them
    }
  };
}

function start(
  calls: Calls,
  children: Reaper,
  { program, args, env }: ChildOptions,
  actions: Buffer,
  attributes: Buffer,
  sockets: readonly (Socket | null)[],
): Child {
  const pid = [0];
  const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  children.listen(); // before it can end
  let errno: number;
  try {
    errno = calls.spawn(pid, program, actions, attributes, [program, ...args, null], [...variables, null]);
  } catch (error) {
    children.ignoreOne();
    throw error;
  }
  if (errno !== 0) {
    const fault = `posix_spawn ${program}: ${getSystemErrorMessage(-errno)}`;
    children.ignoreOne();
    return { pid: undefined, sockets, onEnd: (listener) => void setImmediate(listener, { code: null, signal: null, fault }) };
  }
  const child = pid[0] ?? 0;
  const ended = children.add(child);
  return { pid: child, sockets, onEnd: (listener) => void ended.then(listener) };
}

/** The descriptor that a child gets a copy of; what was made for it is in `opened`, and our end of a pair in `sockets`. */
function sourceOf(calls: Calls, each: ChildDescriptor, nothing: number, opened: number[], sockets: (Socket | null)[]): number {
  if (each !== 'socket') {
    sockets.push(null);
    return beyond(calls, each === 'none' ? nothing : each, opened);
  }
  const fds = new Int32Array(2);
  if (calls.socketPair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) !== 0) throw new Error('descriptors are used up');
  const [ours = -1, theirs = -1] = fds;
  opened.push(theirs);
  try {
    sockets.push(new Socket({ fd: ours, readable: true, writable: true }));
  } catch (error) {
    closeSync(ours);
    throw error;
  }
  return beyond(calls, theirs, opened);
}

function beyond(calls: Calls, fd: number, opened: number[]): number {
  if (fd >= BEYOND_CHILD) return fd;
  const copy = calls.duplicate(fd, F_DUPFD_CLOEXEC, 'int', BEYOND_CHILD);
  if (copy < 0) throw new Error('descriptors are used up');
  opened.push(copy);
  return copy;
}

function actionsOf(calls: Calls, sources: readonly number[]): Buffer {
  const actions = Buffer.alloc(STRUCT_BYTES);
  const results = [
    calls.initActions(actions),
    calls.addFolder(actions, '/'),
    ...sources.map((fd, into) => calls.addDuplicate(actions, fd, into)),
  ];
  if (results.some((result) => result !== 0)) throw new Error('posix_spawn cannot be prepared');
  return actions;
}

/** A session of its own, no signal blocked, and none ignored: Node ignores SIGPIPE, which a program would inherit. */
function attributesOf(calls: Calls): Buffer {
  const attributes = Buffer.alloc(STRUCT_BYTES);
  const all = Buffer.alloc(STRUCT_BYTES);
  for (let signal = 1; signal <= 64; signal++)
    if (!NOT_SETTABLE.includes(signal)) all[(signal - 1) >> 3] = (all[(signal - 1) >> 3] ?? 0) | (1 << ((signal - 1) & 7));
  const results = [
    calls.initAttributes(attributes),
    calls.setFlags(attributes, SET_SIGNAL_DEFAULTS | SET_SIGNAL_MASK | SET_SESSION),
    calls.setDefaults(attributes, all),
    calls.setMask(attributes, Buffer.alloc(STRUCT_BYTES)),
  ];
  if (results.some((result) => result !== 0)) throw new Error('posix_spawn cannot be prepared');
  return attributes;
}

/** The C library reads text up to its first NUL: such text would be another one for it. */
function checkText({ program, args, env }: ChildOptions): void {
  for (const text of [program, ...args, ...Object.entries(env).flat()])
    if (text.includes('\0')) throw new Error('A NUL character in the command or environment of a process');
}
