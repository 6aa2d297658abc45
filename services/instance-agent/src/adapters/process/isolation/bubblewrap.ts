import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { foldersDownTo, isWithin } from '../../../domain/mount-plan.ts';
import type { Launch, LaunchOptions } from './launch.ts';
import { coversFor, ownFilesOf } from './mount-steps.ts';

/** bwrap cannot show one tmpfs in three places: each has a part of the room. */
const EIGHTHS: Readonly<Record<string, number>> = { '/tmp': 6, '/var/tmp': 1, '/dev/shm': 1 };
const MB = 1024 * 1024;

/** A folder of the instance for terminals: bubblewrap makes some, but cannot bound their number. */
export function terminalsOf({ folder }: LaunchOptions): string {
  const terminals = join(folder, 'terminals');
  mkdirSync(terminals);
  return terminals;
}

/**
 * bubblewrap with its namespaces and mounts, before the program that it starts as the init of its PID namespace. It reports the pid of that one at descriptor 5.
 * `terminals` is where terminals are that it is to show; without it they are its own.
 */
export function bubblewrapArguments(launch: Launch, terms: LaunchOptions, terminals: string | undefined): string[] {
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
  if (terminals !== undefined) words.push('--dev-bind', terminals, '/dev/pts');
  for (const { path, kept } of coversFor(launch, terms)) {
    if (path in EIGHTHS) words.push('--perms', '1777', '--size', String(((EIGHTHS[path] ?? 0) * terms.tmpMb * MB) / 8));
    else words.push('--perms', '0755', '--size', '1048576');
    words.push('--tmpfs', path);
    // Folders on the way are made for the agent's user alone by default.
    const onTheWay = new Set(kept.flatMap((each) => foldersDownTo(each).filter((folder) => folder !== path && isWithin(folder, path))));
    for (const folder of onTheWay) if (statSync(folder).isDirectory()) words.push('--perms', '0755', '--dir', folder);
    for (const each of kept) words.push('--ro-bind', each, each);
    if (!(path in EIGHTHS)) words.push('--remount-ro', path);
  }
  for (const { source, target } of ownFilesOf(terms)) words.push('--ro-bind', source, target);
  return words;
}
