import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lookAtUse, newProcessorUse, type ProcessorUse } from '../../../domain/processor-use.ts';
import {
  anonymousBytes,
  type Controller,
  type Limits,
  oomKills,
  openControllers,
  pidsOf,
  setCpuShare,
  setLimits,
  setShareOfAll,
  sharedBytes,
  socketBytesOf,
  tried,
  usedProcessorUs,
} from './cgroup-controllers.ts';
import { joinPlatformCgroup } from './platform-cgroup.ts';
import { type SpareCgroups, spareCgroups } from './spare-cgroups.ts';

/**
 * Above what its sockets may hold: each accepts one packet, of up to 64 KB, whatever the bound. With 140,000 sockets a function came to 6.4 GB that way,
 * thrice as much as all connections of the host were to have.
 */
const SOCKET_MARGIN_BYTES = 64 * 1024 * 1024;

/**
 * An instance that uses little counts so much more than others. A call of one then waits for no slice of those that never rest: beside six of them its
 * process waited 20 ms on average to be run, and 1.3 ms with this.
 */
const LIGHT_COUNTS = 16;
/** Instances that are looked at in one round, of which each costs 0.02 ms. */
const MOST_LOOKED_AT = 64;

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
  /** Puts processes into it from outside; answers whether all are in. The kernel may need more than 10 ms for that. */
  join(pids: readonly number[]): Promise<boolean>;
  /** Removes it; fails silently while something is left in it. */
  remove(): void;
};

export type Cgroups = {
  /** Which controllers bound an instance. */
  readonly memory: boolean;
  readonly pids: boolean;
  readonly cpu: boolean;
  /** Whether the platform is in a group of its own whose share of the processor functions cannot use up. */
  readonly isPlatformApart: boolean;
  /** Whether everything in one can be killed at once. */
  readonly kills: boolean;
  /** Makes one; undefined if that fails. */
  create(name: string, limits: Limits): InstanceCgroup | undefined;
  /** Looks at how much of the processor instances use, some at each call, and lets those that use little come first. */
  shareProcessor(nowMs: number): void;
  /** Removes the agent's own, once they are empty. */
  close(): void;
};

/** Opens what this host has of cgroups, of both versions; undefined where there is nothing. Kills what an earlier session left in its own. */
export function openCgroups(name: string): Cgroups | undefined {
  const controllers = openControllers(name);
  if (controllers.length === 0) return undefined;
  // One that can kill comes first: it is the one that is read for what is left.
  controllers.sort((a, b) => b.version - a.version);
  const platformGroups = controllers.map((controller) => joinPlatformCgroup(controller, name));
  controllers.forEach((controller, i) => setShareOfAll(controller, platformGroups[i] !== undefined));
  const place: Place = { controllers, spare: spareCgroups(controllers.map(({ root }) => root)), made: new Set() };
  return {
    memory: controllers.some(({ memory }) => memory),
    pids: controllers.some(({ pids }) => pids),
    cpu: controllers.some(({ cpu }) => cpu),
    kills: controllers[0]?.version === 2,
    isPlatformApart: platformGroups.some((group) => group !== undefined),
    close() {
      for (const group of platformGroups) group?.leave();
      place.spare.close();
      for (const { root } of controllers) tried(() => rmdirSync(root));
    },
    shareProcessor: (nowMs) => shareProcessor(place, nowMs),
    create: (instance, limits) => createIn(place, instance, limits),
  };
}

/** Where the agent makes cgroups, and those it has made, the one first that was not looked at for longest. */
type Place = { readonly controllers: readonly Controller[]; readonly spare: SpareCgroups; readonly made: Set<Made> };
type Made = { readonly name: string; readonly cpuShare: number; readonly use: ProcessorUse };

function shareProcessor({ controllers, made }: Place, nowMs: number): void {
  const [counting] = controllers;
  if (!counting) return;
  for (const one of [...made].slice(0, MOST_LOOKED_AT)) {
    made.delete(one);
    made.add(one);
    const { name, cpuShare, use } = one;
    if (!lookAtUse(use, usedProcessorUs(counting, join(counting.root, name)), nowMs)) continue;
    for (const { version, root, cpu } of controllers)
      if (cpu) setCpuShare(version, join(root, name), cpuShare * (use.isLight ? LIGHT_COUNTS : 1));
  }
}

function createIn({ controllers, spare, made }: Place, instance: string, limits: Limits): InstanceCgroup | undefined {
  const claimed = spare.claim();
  const name = claimed ?? instance;
  const groups = controllers.map((controller) => ({ controller, path: join(controller.root, name) }));
  const first = groups[0];
  const isMade = groups.every(({ controller, path }) => {
    if (claimed === undefined && !tried(() => mkdirSync(path))) return false;
    setLimits(controller, path, limits);
    return true;
  });
  const one: Made = { name, cpuShare: limits.cpuShare, use: newProcessorUse(performance.now()) };
  const remove = (): void => {
    made.delete(one);
    spare.remove(name);
  };
  if (!first || !isMade) {
    remove();
    return undefined;
  }
  made.add(one);
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
