import { mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { anonymousBytes, type Controller, type Limits, oomKills, openControllers, pidsOf, setLimits, tried } from './controllers.ts';

/** One cgroup: whatever is started in it cannot leave it by setsid, a double fork or an empty environment. */
export type InstanceCgroup = {
  /** Whether the process was put into it: then everything that is left of the instance is in it. */
  complete: boolean;
  pids(): number[];
  /** What its processes hold, pages they share once; undefined where the kernel does not count that. */
  memoryBytes(): number | undefined;
  /** Whether the kernel has killed something in it for want of memory. */
  ranOutOfMemory(): boolean;
  kill(): void;
  /** Removes it; fails silently while something is left in it. */
  remove(): void;
};

export type Cgroups = {
  /** Which controllers bound an instance. */
  readonly memory: boolean;
  readonly pids: boolean;
  /** Whether everything in one can be killed at once. */
  readonly kills: boolean;
  /**
   * Makes one; undefined if that fails. `join` resolves, in any case, once the processes are in: the kernel may take more than 10 ms for
   * that, so nobody stands and waits.
   */
  create(name: string, limits: Limits): { readonly cgroup: InstanceCgroup; join(pids: readonly number[]): Promise<void> } | undefined;
  /** Removes the agent's own, once they are empty. */
  close(): void;
};

/** Opens what this host has of cgroups, of both versions; undefined where there is nothing. Kills what an earlier session left in its own. */
export function openCgroups(name: string): Cgroups | undefined {
  const controllers = openControllers(name);
  if (controllers.length === 0) return undefined;
  // One that can kill comes first: it is the one that is asked who is left.
  controllers.sort((a, b) => b.version - a.version);
  return {
    memory: controllers.some(({ memory }) => memory),
    pids: controllers.some(({ pids }) => pids),
    kills: controllers[0]?.version === 2,
    close() {
      for (const { root } of controllers) tried(() => rmdirSync(root));
    },
    create: (instance, limits) => createIn(controllers, instance, limits),
  };
}

function createIn(controllers: readonly Controller[], name: string, limits: Limits): ReturnType<Cgroups['create']> {
  const groups = controllers.flatMap((controller) => {
    const path = join(controller.root, name);
    if (!tried(() => mkdirSync(path))) return [];
    setLimits(controller, path, limits);
    return [{ controller, path }];
  });
  const first = groups[0];
  const counting = groups.find(({ controller }) => controller.memory);
  if (!first) return undefined;
  const cgroup: InstanceCgroup = {
    complete: false,
    pids: () => pidsOf(first.path),
    memoryBytes() {
      if (!counting) return undefined;
      return anonymousBytes(counting.controller, counting.path);
    },
    ranOutOfMemory: () => groups.some(({ controller, path }) => oomKills(controller, path) > 0),
    kill() {
      if (first.controller.version === 2) tried(() => writeFileSync(join(first.path, 'cgroup.kill'), '1'));
    },
    remove() {
      for (const { path } of groups) tried(() => rmdirSync(path));
    },
  };
  const enter = async (path: string, pids: readonly number[]): Promise<boolean> => {
    try {
      for (const pid of pids) await writeFile(join(path, 'cgroup.procs'), String(pid));
      return true;
    } catch {
      return false; // it has gone already
    }
  };
  return {
    cgroup,
    async join(pids) {
      const entered = await Promise.all(groups.map(({ path }) => enter(path, pids)));
      cgroup.complete = entered[0] === true;
    },
  };
}
