import type { Dir, Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TemporaryPlace, TemporaryUse } from '../../../ports.ts';

/** Where every user may leave files, on a host whose instances have no mounts of their own. */
const SHARED = ['/tmp', '/var/tmp', '/dev/shm'];
/** Files and folders of one instance: more are too many, whatever their size, or a look at them would use all of the agent's time. */
const MAX_ENTRIES = 50_000;
const BLOCK_BYTES = 512;

type Usage = { readonly place: TemporaryPlace; bytes: number; entries: number; readonly linked: Set<number>; readonly folders: string[] };

/**
 * What instances have on disk: in their own folders, and in the folders that all share what lies there in their name. Files that were unlinked and
 * are open still are not seen. Links are not followed, and nothing is opened but folders.
 */
export async function measureTemporary(places: readonly TemporaryPlace[]): Promise<TemporaryUse[]> {
  const usages = places.map((place): Usage => ({ place, bytes: 0, entries: 0, linked: new Set(), folders: [place.folder] }));
  const byUser = new Map(usages.flatMap((usage) => (usage.place.uid === undefined ? [] : [[usage.place.uid, usage] as const])));
  if (byUser.size > 0) {
    for (const shared of SHARED)
      await eachIn(shared, (path, found) => {
        const usage = byUser.get(found.uid);
        if (usage) count(usage, path, found);
        return true;
      });
  }
  for (const usage of usages) {
    for (let folder = usage.folders.pop(); folder !== undefined && !isOver(usage); folder = usage.folders.pop())
      await eachIn(folder, (path, found) => {
        if (usage.place.uid === undefined || found.uid === usage.place.uid) count(usage, path, found);
        return !isOver(usage);
      });
  }
  return usages.map(({ bytes, entries }) => ({ bytes, hasTooMany: entries > MAX_ENTRIES }));
}

/** Beyond its limits the rest need not be counted. */
function isOver({ bytes, entries, place }: Usage): boolean {
  return bytes > place.mostBytes || entries > MAX_ENTRIES;
}

function count(usage: Usage, path: string, found: Stats): void {
  usage.entries += 1;
  if (found.isDirectory()) usage.folders.push(path);
  else if (found.nlink > 1) {
    if (usage.linked.has(found.ino)) return;
    usage.linked.add(found.ino);
  }
  usage.bytes += found.blocks * BLOCK_BYTES;
}

/** Visits the entries of a folder until `visit` returns false. Entries that vanish meanwhile, and folders that cannot be opened, are left out. */
async function eachIn(folder: string, visit: (path: string, found: Stats) => boolean): Promise<void> {
  let dir: Dir;
  try {
    dir = await opendir(folder, { bufferSize: 256 });
  } catch {
    return;
  }
  try {
    for await (const { name } of dir) {
      const path = join(folder, name);
      const found = await lstat(path).catch(() => undefined);
      if (found && !visit(path, found)) break;
    }
  } catch {
    // it has gone
  }
}
