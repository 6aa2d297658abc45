import type { Dir, Stats } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TemporaryPlace, TemporaryUse } from '../../../ports.ts';

/** Where every user may leave files, on a host whose instances have no mounts of their own. */
const SHARED = ['/tmp', '/var/tmp', '/dev/shm'];
/** Files and folders of one instance: who has more has too many, whatever their size, or a look at them would take all of the agent's time. */
const MAX_ENTRIES = 50_000;
const BLOCK_BYTES = 512;

type Tally = { readonly place: TemporaryPlace; bytes: number; entries: number; readonly linked: Set<number>; readonly folders: string[] };

/**
 * What instances have on disk: in their own folders, and in the folders that all share what lies there in their name. Files that were unlinked and
 * are open still are not seen. Links are not followed, and nothing is opened but folders.
 */
export async function measureTemporary(places: readonly TemporaryPlace[]): Promise<TemporaryUse[]> {
  const tallies = places.map((place): Tally => ({ place, bytes: 0, entries: 0, linked: new Set(), folders: [place.folder] }));
  const byUser = new Map(tallies.flatMap((tally) => (tally.place.uid === undefined ? [] : [[tally.place.uid, tally] as const])));
  if (byUser.size > 0) {
    for (const shared of SHARED)
      await eachIn(shared, (path, found) => {
        const tally = byUser.get(found.uid);
        if (tally) count(tally, path, found);
        return true;
      });
  }
  for (const tally of tallies) {
    for (let folder = tally.folders.pop(); folder !== undefined && !isOver(tally); folder = tally.folders.pop())
      await eachIn(folder, (path, found) => {
        if (tally.place.uid === undefined || found.uid === tally.place.uid) count(tally, path, found);
        return !isOver(tally);
      });
  }
  return tallies.map(({ bytes, entries }) => ({ bytes, hasTooMany: entries > MAX_ENTRIES }));
}

/** There is nothing to learn from more. */
function isOver({ bytes, entries, place }: Tally): boolean {
  return bytes > place.mostBytes || entries > MAX_ENTRIES;
}

function count(tally: Tally, path: string, found: Stats): void {
  tally.entries += 1;
  if (found.isDirectory()) tally.folders.push(path);
  else if (found.nlink > 1) {
    if (tally.linked.has(found.ino)) return;
    tally.linked.add(found.ino);
  }
  tally.bytes += found.blocks * BLOCK_BYTES;
}

/** Shows what is in a folder, as long as it is wanted. What vanishes meanwhile, or cannot be entered, is left out. */
async function eachIn(folder: string, take: (path: string, found: Stats) => boolean): Promise<void> {
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
      if (found && !take(path, found)) break;
    }
  } catch {
    // it has gone
  }
}
