import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** What bounds one instance and can report that it did. */
export type Limits = {
  readonly memoryBytes: number;
  /** What its IPv4 and IPv6 sockets may hold, where the kernel counts that apart (version 1); version 2 counts it as memory. */
  readonly socketBytes: number;
  readonly processes: number;
  /** Of processor time, where there is not enough for all; 1 is that of a function of 128 MB. */
  readonly cpuShare: number;
};

/** A folder of a cgroup hierarchy in which instances get one each. */
export type Controller = {
  readonly version: 1 | 2;
  readonly root: string;
  readonly memory: boolean;
  readonly pids: boolean;
  readonly cpu: boolean;
};

/** What one share is in the kernel's numbers, of which the least and the most differ by version (cgroups(7)). */
const CPU_NUMBERS = {
  1: { file: 'cpu.shares', one: 1024, least: 2, most: 262_144 },
  2: { file: 'cpu.weight', one: 100, least: 1, most: 10_000 },
} as const;
/**
 * All functions of a host together, whatever they fork: as much as a session that was started from a terminal, or a process in no group of its own. Less
 * would leave functions less than they need under full load, where they use about a quarter of two processors.
 */
const CPU_SHARE_OF_ALL = 1;
/** The same where the platform is in a group that another program made, such as systemd's for all services, which counts one. */
const CPU_SHARE_BESIDE_OTHERS = 0.2;

export const quietly = <T>(action: () => T): T | undefined => {
  try {
    return action();
  } catch {
    return undefined; // cgroups are a help, not a need: other limits and the marker sweep work without them
  }
};

/** Whether it could be done. */
export function tried(action: () => unknown): boolean {
  try {
    action();
    return true;
  } catch {
    return false; // as above
  }
}

/** The hierarchies of this host in which the agent can make groups of its own: v2 with `cgroup.kill` (Linux 5.14), and v1's memory, pids and cpu. */
export function openControllers(name: string): Controller[] {
  return hierarchies().flatMap(({ path, type, options }): Controller[] => {
    const has = (controller: string): boolean => type === 'cgroup' && options.includes(controller);
    const root = join(path, 'evenfall', name);
    if (!tried(() => mkdirSync(root, { recursive: true }))) return [];
    if (!tried(() => readFileSync(join(root, 'cgroup.procs')))) return [];
    removeLeftovers(root);
    const all = join(path, 'evenfall');
    if (type !== 'cgroup2') {
      return [{ version: 1, root, memory: has('memory'), pids: has('pids'), cpu: has('cpu') } as const];
    }
    if (!quietly(() => readdirSync(root))?.includes('cgroup.kill')) return [];
    const [memory, pids, cpu] = ['memory', 'pids', 'cpu'].map((controller) => delegate([path, all, root], controller));
    return [{ version: 2, root, memory: memory === true, pids: pids === true, cpu: cpu === true } as const];
  });
}

/** Where the hierarchies are mounted in which agents make groups. */
export function cgroupMounts(): string[] {
  return hierarchies().map(({ path }) => path);
}

function hierarchies(): { readonly path: string; readonly type: string; readonly options: readonly string[] }[] {
  const rows = (quietly(() => readFileSync('/proc/mounts', 'utf8')) ?? '').split('\n').map((line) => line.split(' '));
  return rows
    .map(([, path = '', type = '', options = '']) => ({ path, type, options: options.split(',') }))
    .filter(
      ({ type, options }) => type === 'cgroup2' || (type === 'cgroup' && ['memory', 'pids', 'cpu'].some((each) => options.includes(each))),
    );
}

/** Writes the limits of a new group. A number the kernel refuses is left out: it is one bound of several. */
export function setLimits(controller: Controller, group: string, { memoryBytes, socketBytes, processes, cpuShare }: Limits): void {
  const write = (file: string, text: string): boolean => tried(() => writeFileSync(join(group, file), text));
  if (controller.pids) write('pids.max', String(processes));
  if (controller.cpu) setCpuShare(controller.version, group, cpuShare);
  if (!controller.memory) return;
  if (controller.version === 1) {
    write('memory.limit_in_bytes', String(memoryBytes));
    write('memory.kmem.tcp.limit_in_bytes', String(socketBytes));
  } else {
    write('memory.max', String(memoryBytes));
    write('memory.oom.group', '1');
  }
}

/** Sets the share of all functions together. */
export function setShareOfAll({ version, root, cpu }: Controller, hasPlatformGroup: boolean): void {
  if (cpu) setCpuShare(version, dirname(root), hasPlatformGroup ? CPU_SHARE_OF_ALL : CPU_SHARE_BESIDE_OTHERS);
}

export function setCpuShare(version: 1 | 2, group: string, share: number): void {
  const { file, one, least, most } = CPU_NUMBERS[version];
  tried(() => writeFileSync(join(group, file), String(Math.min(most, Math.max(least, Math.round(one * share))))));
}

/** Processor time of a group, microseconds; undefined on a host with version 1 alone. Version 2 counts it in every group, whatever its controllers. */
export function usedProcessorUs({ version }: Controller, group: string): number | undefined {
  if (version === 1) return undefined;
  const found = /^usage_usec (\d+)$/m.exec(quietly(() => readFileSync(join(group, 'cpu.stat'), 'latin1')) ?? '')?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Processes the kernel has killed in a group because its memory was full. */
export function oomKills(controller: Controller, group: string): number {
  if (!controller.memory) return 0;
  const file = controller.version === 1 ? 'memory.oom_control' : 'memory.events';
  const text = quietly(() => readFileSync(join(group, file), 'latin1')) ?? '';
  return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0);
}

/** Memory of a group's IPv4 and IPv6 sockets; undefined where the kernel counts it with all other memory of the group. */
export function socketBytesOf(controller: Controller, group: string): number | undefined {
  if (!controller.memory || controller.version === 2) return undefined;
  const text = quietly(() => readFileSync(join(group, 'memory.kmem.tcp.usage_in_bytes'), 'latin1'));
  return text === undefined ? undefined : Number(text);
}

/** Memory of a group that is nothing but its processes', each page once: not what files have in the cache. undefined without the controller. */
export function anonymousBytes(controller: Controller, group: string): number | undefined {
  if (!controller.memory) return undefined;
  const text = quietly(() => readFileSync(join(group, 'memory.stat'), 'latin1')) ?? '';
  const found = (controller.version === 1 ? /^total_rss (\d+)$/m : /^anon (\d+)$/m).exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Memory of a group that has no disk behind it and is not its processes' own: files in memory, shared pages. Both versions count the same under two names. */
export async function sharedBytes(group: string): Promise<number | undefined> {
  const text = await readFile(join(group, 'memory.stat'), 'latin1').catch(() => '');
  const found = /^(?:total_)?shmem (\d+)$/m.exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}

export function pidsOf(group: string): number[] {
  const text = quietly(() => readFileSync(join(group, 'cgroup.procs'), 'latin1')) ?? '';
  // Version 1 calls processes of other PID namespaces 0, which would be this process's own group to a signal.
  return text
    .split('\n')
    .map(Number)
    .filter((pid) => pid > 0);
}

/** Makes a controller of v2 available to the last folder's children: every folder above must pass it on. */
export function delegate(folders: readonly string[], controller: string): boolean {
  for (const folder of folders) {
    const isThere = (quietly(() => readFileSync(join(folder, 'cgroup.controllers'), 'utf8')) ?? '').split(/\s+/).includes(controller);
    if (!isThere || !tried(() => writeFileSync(join(folder, 'cgroup.subtree_control'), `+${controller}`))) return false;
  }
  return true;
}

/** What an earlier session left. */
function removeLeftovers(root: string): void {
  for (const entry of quietly(() => readdirSync(root, { withFileTypes: true })) ?? []) {
    if (!entry.isDirectory()) continue;
    const group = join(root, entry.name);
    killGroup(group);
    tried(() => rmdirSync(group));
  }
}

export function killGroup(group: string): void {
  if (tried(() => writeFileSync(join(group, 'cgroup.kill'), '1'))) return;
  for (const pid of pidsOf(group)) tried(() => process.kill(pid, 'SIGKILL'));
}
