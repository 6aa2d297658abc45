import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { quietly } from '../isolation/cgroup-controllers.ts';

/** Where every user may leave files; as in native/leftovers.c. */
const SHARED = ['/tmp', '/var/tmp', '/dev/shm', '/run/lock', '/dev/mqueue'];
/** The columns of owner and maker in the kernel's lists of System V objects. */
const OBJECTS = [
  { path: '/proc/sysvipc/shm', columns: [7, 9] },
  { path: '/proc/sysvipc/msg', columns: [7, 9] },
  { path: '/proc/sysvipc/sem', columns: [4, 6] },
];

/** Users that have something on this host beside processes: files right in a folder that all share, or System V objects. */
export function ownersOfLeftovers(): Set<number> {
  const ofFiles = SHARED.flatMap((folder) =>
    (quietly(() => readdirSync(folder)) ?? []).flatMap((name) => lstatSync(join(folder, name), { throwIfNoEntry: false })?.uid ?? []),
  );
  const ofObjects = OBJECTS.flatMap(({ path, columns }) => {
    const rows = (quietly(() => readFileSync(path, 'latin1')) ?? '').split('\n').slice(1).filter(Boolean);
    return rows.flatMap((row) => columns.map((column) => Number(row.trim().split(/\s+/)[column])));
  });
  return new Set([...ofFiles, ...ofObjects]);
}
