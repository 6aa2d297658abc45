import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  anonymousBytes,
  type Controller,
  type Limits,
  oomKills,
  openControllers,
  pidsOf,
  setLimits,
  setShareOfAll,
  sharedBytes,
  socketBytesOf,
  tried,
} from './controllers.ts';
import { joinPlatformGroup } from './platform-group.ts';

/**
 * Above what its sockets may hold: each takes one packet, of up to 64 KB, whatever the bound. With 140,000 sockets a function came to 6.4 GB that way,
 * thrice as much as all connections of the host were to have.
 */
const SOCKET_MARGIN_BYTES = 64 * 1024 * 1024;

/** One cgroup: whatever is started in it cannot leave it by setsid, a double fork or an empty environment. */
export type InstanceCgroup = {
  /** Its folders, one for each hierarchy: a process that joins all of them before it runs the function's code cannot start anything outside. */
  readonly folders: readonly string[];
  pids(): number[];
  /** What its processes hold, pages they share once; undefined where the kernel does not count that. */
  memoryBytes(): number | undefined;
  /** Memory of files in it that have no disk; undefined where the kernel does not count that. */
  filesBytes(): Promise<number | undefined>;
  /** Whether the kernel has killed something in it for want of memory, or its sockets hold more than they may. */
  ranOutOfMemory(): boolean;
  kill(): void;
  /** Puts processes into it from outside; answers whether all are in. The kernel may take more than 10 ms for that. */
  join(pids: readonly number[]): Promise<boolean>;
  /** Removes it; fails silently while something is left in it. */
  remove(): void;
};

export type Cgroups = {
  /** Which controllers bound an instance. */
  readonly memory: boolean;
  readonly pids: boolean;
  readonly cpu: boolean;
  /** Whether the platform is in a group of its own that functions cannot take the processor from. */
  readonly isPlatformApart: boolean;
  /** Whether everything in one can be killed at once. */
  readonly kills: boolean;
  /** Makes one; undefined if that fails. */
  create(name: string, limits: Limits): InstanceCgroup | undefined;
  /** Removes the agent's own, once they are empty. */
  close(): void;
};

/** Opens what this host has of cgroups, of both versions; undefined where there is nothing. Kills what an earlier session left in its own. */
export function openCgroups(name: string): Cgroups | undefined {
  const controllers = openControllers(name);
  if (controllers.length === 0) return undefined;
  // One that can kill comes first: it is the one that is asked who is left.
  controllers.sort((a, b) => b.version - a.version);
  const platformGroups = controllers.map((controller) => joinPlatformGroup(controller, name));
  controllers.forEach((controller, i) => setShareOfAll(controller, platformGroups[i] !== undefined));
  return {
    memory: controllers.some(({ memory }) => memory),
    pids: controllers.some(({ pids }) => pids),
    cpu: controllers.some(({ cpu }) => cpu),
    kills: controllers[0]?.version === 2,
    isPlatformApart: platformGroups.some((group) => group !== undefined),
    close() {
      for (const group of platformGroups) group?.leave();
      for (const { root } of controllers) tried(() => rmdirSync(root));
    },
    create: (instance, limits) => createIn(controllers, instance, limits),
  };
}

function createIn(controllers: readonly Controller[], name: string, limits: Limits): InstanceCgroup | undefined {
  const groups = controllers.map((controller) => ({ controller, path: join(controller.root, name) }));
  const first = groups[0];
  const isMade = groups.every(({ controller, path }) => {
    if (!tried(() => mkdirSync(path))) return false;
    setLimits(controller, path, limits);
    return true;
  });
  const remove = (): void => {
    for (const { path } of groups) tried(() => rmdirSync(path));
  };
  if (!first || !isMade) {
    remove();
    return undefined;
  }
  const counting = groups.find(({ controller }) => controller.memory);
  return {
    folders: groups.map(({ path }) => path),
    pids: () => pidsOf(first.path),
    memoryBytes: () => (counting ? anonymousBytes(counting.controller, counting.path) : undefined),
    filesBytes: async () => (counting ? sharedBytes(counting.path) : undefined),
    ranOutOfMemory: () =>
      groups.some(({ controller, path }) => oomKills(controller, path) > 0) ||
      (counting !== undefined && (socketBytesOf(counting.controller, counting.path) ?? 0) > limits.socketBytes + SOCKET_MARGIN_BYTES),
    kill() {
      if (first.controller.version === 2) tried(() => writeFileSync(join(first.path, 'cgroup.kill'), '1'));
    },
    async join(pids) {
      const entered = await Promise.all(groups.map(({ path }) => enter(path, pids)));
      return entered.every(Boolean);
    },
    remove,
  };
}

async function enter(path: string, pids: readonly number[]): Promise<boolean> {
  try {
    for (const pid of pids) await writeFile(join(path, 'cgroup.procs'), String(pid));
    return true;
  } catch {
    return false; // it has gone already
  }
}
