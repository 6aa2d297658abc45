import { readdirSync, readFileSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** What functions could leave on a host. */
export type Leftovers = {
  /** Of users of functions. */
  readonly processes: readonly string[];
  readonly systemVObjects: number;
  readonly mounts: number;
  readonly devices: number;
  /** In folders that anybody may write to, of users of functions. */
  readonly files: readonly string[];
  readonly cgroups: number;
};

const SHARED = ['/tmp', '/var/tmp', '/dev/shm', '/run', '/run/lock', tmpdir()];

/** Looks at the host for what belongs to these users, and counts what has no owner. */
export function leftovers(uids: { readonly first: number; readonly last: number }): Leftovers {
  const isTheirs = (uid: number): boolean => uid >= uids.first && uid <= uids.last;
  const processes = readdirSync('/proc').filter((name) => {
    const uid = /^Uid:\s+(\d+)/m.exec(/^\d+$/.test(name) ? read(`/proc/${name}/status`) : '')?.[1];
    return uid !== undefined && isTheirs(Number(uid));
  });
  const objects = ['shm', 'msg', 'sem'].flatMap((kind) => read(`/proc/sysvipc/${kind}`).trimEnd().split('\n').slice(1));
  const ofThem = objects.filter((row) =>
    row
      .trim()
      .split(/\s+/)
      .some((field) => /^\d+$/.test(field) && isTheirs(Number(field))),
  );
  const files = [...new Set(SHARED)].flatMap((dir) =>
    names(dir)
      .map((name) => `${dir}/${name}`)
      .filter((path) => isTheirs(ownerOf(path))),
  );
  return {
    processes,
    systemVObjects: ofThem.length,
    mounts: read('/proc/self/mounts').trimEnd().split('\n').length,
    devices: names('/sys/class/net').filter((name) => name.startsWith('evf')).length,
    files,
    cgroups: ['/sys/fs/cgroup', '/sys/fs/cgroup/memory'].flatMap(names).filter((name) => name.includes('evenfall')).length,
  };
}

function names(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return []; // not on this host
  }
}

function ownerOf(path: string): number {
  try {
    return statSync(path, { throwIfNoEntry: false })?.uid ?? -1;
  } catch {
    return -1; // a link that leads nowhere
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // gone meanwhile
  }
}
