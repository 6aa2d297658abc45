import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One cgroup: whatever is started in it cannot leave it by setsid, a double fork or an empty environment. */
export type InstanceCgroup = {
  /** Whether the process was put into it: then everything that is left of the instance is in it. */
  complete: boolean;
  pids(): number[];
  kill(): void;
  /** Removes it; fails silently while something is left in it. */
  remove(): void;
};

export type Cgroups = {
  /**
   * Makes one and puts the process into it; undefined if that fails. `joined` resolves, in any case, once it is in: the kernel may take
   * more than 10 ms for that, so nobody stands and waits.
   */
  create(name: string, pid: number): { readonly cgroup: InstanceCgroup; readonly joined: Promise<void> } | undefined;
  /** Removes the agent's own, once it is empty. */
  close(): void;
};

const attempt = <T>(action: () => T): T | undefined => {
  try {
    return action();
  } catch {
    return undefined; // cgroups are a help, not a need: the marker sweep stands behind them
  }
};

function makeFolder(path: string): boolean {
  try {
    mkdirSync(path);
    return true;
  } catch {
    return false;
  }
}

function cgroupAt(path: string): InstanceCgroup {
  return {
    complete: false,
    pids: () => (attempt(() => readFileSync(join(path, 'cgroup.procs'), 'latin1')) ?? '').split('\n').filter(Boolean).map(Number),
    kill() {
      attempt(() => writeFileSync(join(path, 'cgroup.kill'), '1'));
    },
    remove() {
      attempt(() => rmdirSync(path));
    },
  };
}

/** Finds a writable cgroup v2 tree with `cgroup.kill` (Linux 5.14); undefined where there is none. Kills what an earlier session left in its own. */
export function openCgroups(agentId: string): Cgroups | undefined {
  const mounts = attempt(() => readFileSync('/proc/mounts', 'utf8')) ?? '';
  const mount = mounts
    .split('\n')
    .find((line) => line.split(' ')[2] === 'cgroup2')
    ?.split(' ')[1];
  if (!mount) return undefined;
  const root = join(mount, 'evenfall', agentId);
  if (attempt(() => mkdirSync(root, { recursive: true }) ?? root) === undefined) return undefined;
  if (attempt(() => readFileSync(join(root, 'cgroup.procs'))) === undefined) return undefined;
  if (!attempt(() => readdirSync(root))?.includes('cgroup.kill')) return undefined;
  for (const entry of attempt(() => readdirSync(root, { withFileTypes: true })) ?? []) {
    if (!entry.isDirectory()) continue;
    const left = cgroupAt(join(root, entry.name));
    left.kill();
    attempt(() => rmdirSync(join(root, entry.name)));
  }
  return {
    close() {
      attempt(() => rmdirSync(root));
    },
    create(name, pid) {
      const path = join(root, name);
      if (!makeFolder(path)) return undefined;
      const cgroup = cgroupAt(path);
      const joined = writeFile(join(path, 'cgroup.procs'), String(pid)).then(
        () => {
          cgroup.complete = true;
        },
        () => undefined, // it has gone already
      );
      return { cgroup, joined };
    },
  };
}
