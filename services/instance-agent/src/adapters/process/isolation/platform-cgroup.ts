import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Controller, delegate, pidsOf, quietly, setCpuShare, tried } from './cgroup-controllers.ts';

/** The platform beside all functions together, which count one. */
const CPU_SHARE_OF_PLATFORM = 10;
/** Folder of the groups of all agents of a host. */
export const ALL_PLATFORMS = 'evenfall-platform';
/** Another agent removes the folder of all when it leaves, which may be now. */
const MAKE_ATTEMPTS = 10;

export type PlatformCgroup = {
  /** Puts its processes back where they were, and removes it. */
  leave(): void;
};

/**
 * Puts this process, and what it has started (a database), into a cgroup whose share of the processor functions cannot use up. Only from the root group: another
 * program, such as systemd, has put it into any other one for a reason. Without this, Linux counts a whole session that was started from a terminal as one
 * (`sched_autogroup_enabled`): six functions that never rest made the agent's thread wait longer than it ran, and the worst call of another function took
 * 428 ms instead of 195. Undefined where it cannot be done.
 */
export function joinPlatformCgroup({ version, root, cpu }: Controller, name: string): PlatformCgroup | undefined {
  const mount = dirname(dirname(root));
  if (!cpu || !isInRoot(version, mount)) return undefined;
  const all = join(mount, ALL_PLATFORMS);
  const group = join(all, name);
  const remove = (): void => {
    tried(() => rmdirSync(group));
    tried(() => rmdirSync(all)); // fails while another agent has one in it
  };
  const isMade = Array.from({ length: MAKE_ATTEMPTS }).some(() => tried(() => mkdirSync(group, { recursive: true })));
  if (!isMade || (version === 2 && !delegate([mount], 'cpu'))) {
    remove();
    return undefined;
  }
  setCpuShare(version, all, CPU_SHARE_OF_PLATFORM);
  if (!moveAll(group, [process.pid, ...startedBy(process.pid)])) {
    remove();
    return undefined;
  }
  return {
    leave() {
      moveAll(mount, pidsOf(group));
      remove();
    },
  };
}

/** Whether this process is in the root group of the hierarchy, which is no container's: the real one has no file for its type. */
function isInRoot(version: 1 | 2, mount: string): boolean {
  const rows = (quietly(() => readFileSync('/proc/self/cgroup', 'latin1')) ?? '').split('\n');
  if (version === 2) return rows.includes('0::/') && !tried(() => readFileSync(join(mount, 'cgroup.type')));
  return rows.some((row) => /^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:\/$/.test(row));
}

/** Whether the first is in it; others may have ended. */
function moveAll(group: string, pids: readonly number[]): boolean {
  const [isFirstIn = true] = pids.map((pid) => tried(() => writeFileSync(join(group, 'cgroup.procs'), String(pid))));
  return isFirstIn;
}

/** What a process has started, and what that has. */
function startedBy(pid: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? (quietly(() => readFileSync(`/proc/${name}/stat`, 'latin1')) ?? '') : '';
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (stat !== '') children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  const found: number[] = [];
  for (let some = children.get(pid) ?? []; some.length > 0; some = some.flatMap((one) => children.get(one) ?? [])) found.push(...some);
  return found;
}
