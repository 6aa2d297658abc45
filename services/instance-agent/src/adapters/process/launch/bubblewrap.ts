import { statSync } from 'node:fs';
import { foldersDownTo, isWithin } from '../../../domain/mount-plan.ts';
import type { Launch, LaunchTerms } from './launch.ts';
import { accountsOf, coversFor, TMP_BYTES } from './mount-steps.ts';

const SHARED = ['/tmp', '/var/tmp', '/dev/shm'];
const SHM_BYTES = 64 * 1024 * 1024;
/** bwrap cannot show one tmpfs in two places: there `/var/tmp` has a part of the room of `/tmp`. */
const VAR_TMP_BYTES = 64 * 1024 * 1024;

/** bubblewrap with its walls, before the program that it starts as the init of its PID namespace. It tells the number of that one at descriptor 5. */
export function bubblewrapWords(launch: Launch, terms: LaunchTerms): string[] {
  const words = [
    launch.bubblewrap ?? '',
    '--die-with-parent',
    '--new-session',
    '--unshare-pid',
    '--as-pid-1',
    '--unshare-ipc',
    '--unshare-uts',
  ];
  if (!terms.isOnce) words.push('--info-fd', '5');
  if (!launch.ownUsers) words.push('--unshare-user'); // only root can do without
  if (launch.network === 'none') words.push('--unshare-net');
  words.push('--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc');
  for (const { path, kept } of coversFor(launch, terms)) {
    if (SHARED.includes(path)) words.push('--perms', '1777', '--size', String(sizeOf(path)));
    else words.push('--perms', '0755', '--size', '1048576');
    words.push('--tmpfs', path);
    // Folders on the way are made for the agent's user alone if nobody says otherwise.
    const onTheWay = new Set(kept.flatMap((each) => foldersDownTo(each).filter((folder) => folder !== path && isWithin(folder, path))));
    for (const folder of onTheWay) if (statSync(folder).isDirectory()) words.push('--perms', '0755', '--dir', folder);
    for (const each of kept) words.push('--ro-bind', each, each);
    if (!SHARED.includes(path)) words.push('--remount-ro', path);
  }
  for (const { source, target } of accountsOf(terms)) words.push('--ro-bind', source, target);
  return words;
}

function sizeOf(path: string): number {
  if (path === '/var/tmp') return VAR_TMP_BYTES;
  return path === '/tmp' ? TMP_BYTES - VAR_TMP_BYTES : SHM_BYTES;
}
