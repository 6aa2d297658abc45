import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cover, coversOf, foldersDownTo, isWithin } from '../../domain/mount-plan.ts';
import { writeAccountFiles } from './account-files.ts';
import type { CodeSlots } from './code-slots.ts';
import { MAX_PROCESSES, staged } from './stage.ts';

/** Room of a private `/tmp` (semantics §5); more is ENOSPC. */
export const TMP_BYTES = 512 * 1024 * 1024;
const SHM_BYTES = 64 * 1024 * 1024;
/** bwrap cannot show one tmpfs in two places: there `/var/tmp` has a part of the room of `/tmp`. */
const BOXED_VAR_TMP_BYTES = 64 * 1024 * 1024;
const SHARED = ['/tmp', '/var/tmp', '/dev/shm'];

/** What the launch does about it: leaves a process in the network it was born in, or takes that away. */
export type Network = 'host' | 'none';

/** How processes are put apart on this host. */
export type Launch = {
  /** `bwrap`, if it is to be used. */
  readonly bubblewrap: string | undefined;
  readonly network: Network;
  /** Whether every instance has a user of its own. */
  readonly ownUsers: boolean;
  /** `unshare` and `mount`, if mounts are to be private without bwrap. */
  readonly mounts: { readonly unshare: string; readonly mount: string } | undefined;
  readonly setpriv: string | undefined;
  /** Whether setpriv knows `--pdeathsig` (util-linux 2.33). */
  readonly parentDeath: boolean;
  /** Folders nobody but the agent looks into; empty, but for what a function needs. */
  readonly hidden: readonly string[];
  /** Folders of the runtimes. */
  readonly needs: readonly string[];
};

export type LaunchTerms = {
  readonly uid: number | undefined;
  readonly codeDir: string;
  /** An empty folder of the instance, its parent closed to others. */
  readonly folder: string;
  readonly keepsChannel: boolean;
  /** Where `codeDir`, then the folder of all packages, shows nothing but what is put into this slot. Only where mounts are private. */
  readonly slot?: { readonly slots: CodeSlots; readonly name: string } | undefined;
};

/** Whether an instance has a `/tmp` of its own. */
export function hasPrivateTmp(launch: Launch): boolean {
  return launch.bubblewrap !== undefined || launch.mounts !== undefined;
}

/** The whole command: mounts and namespaces first, while there are rights for it; then the user; then limits and variables; then the program. */
export function launchWords(launch: Launch, words: readonly string[], terms: LaunchTerms): string[] {
  const last = staged(words, {
    keepsChannel: terms.keepsChannel,
    // The kernel counts by user, and by user namespace (Linux 5.14): it must be the instance's own.
    maxProcesses: terms.uid === undefined && launch.bubblewrap === undefined ? 0 : MAX_PROCESSES,
    folder: hasPrivateTmp(launch) ? terms.codeDir : '',
  });
  const inner = [...credentials(launch, terms.uid), ...last];
  if (launch.bubblewrap !== undefined) {
    const entered = terms.slot?.slots.words(terms.slot.name, slotAt(terms)) ?? [];
    return [...entered, launch.bubblewrap, ...bubblewrapWords(launch, terms), '--', ...inner];
  }
  if (launch.mounts) return [...mountWords(launch, launch.mounts, terms), ...inner];
  return inner;
}

function credentials({ setpriv, parentDeath }: Launch, uid: number | undefined): string[] {
  if (setpriv === undefined) return [];
  const user = uid === undefined ? [] : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
  // The function must not outlive the agent, even one that was killed: the kernel sends the signal (prctl(2), PR_SET_PDEATHSIG). A change of
  // user would clear that; setpriv sets it after it.
  return [setpriv, ...user, '--no-new-privs', ...(parentDeath ? ['--pdeathsig', 'KILL'] : []), '--'];
}

function bubblewrapWords(launch: Launch, terms: LaunchTerms): string[] {
  const words = ['--die-with-parent', '--new-session', '--unshare-pid', '--unshare-ipc', '--unshare-uts', '--info-fd', '4'];
  if (!launch.ownUsers) words.push('--unshare-user'); // only root can do without
  if (launch.network === 'none') words.push('--unshare-net');
  words.push('--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc');
  for (const { path, kept } of coversFor(launch, terms)) {
    if (SHARED.includes(path)) words.push('--perms', '1777', '--size', String(boxedSizeOf(path)));
    else words.push('--perms', '0755', '--size', '1048576');
    words.push('--tmpfs', path);
    // Folders on the way are made for the agent's user alone if nobody says otherwise.
    const onTheWay = new Set(kept.flatMap((each) => foldersDownTo(each).filter((folder) => folder !== path && isWithin(folder, path))));
    for (const folder of onTheWay) words.push('--perms', '0755', '--dir', folder);
    for (const each of kept) words.push('--ro-bind', sourceOf(each, terms), each);
    if (!SHARED.includes(path)) words.push('--remount-ro', path);
  }
  for (const { source, target } of accountFiles(terms)) words.push('--ro-bind', source, target);
  return words;
}

function mountWords(launch: Launch, tools: { readonly unshare: string; readonly mount: string }, terms: LaunchTerms): string[] {
  const covers = coversFor(launch, terms);
  // Everything is put together out of sight and then laid over its place; what covers the workshop itself comes last.
  const bottomUp = [...covers].sort((a, b) => Number(isWithin(terms.folder, a.path)) - Number(isWithin(terms.folder, b.path)));
  const temporary = covers.find(({ path }) => path === '/tmp');
  // One room of 512 MB, in two places.
  const isSameRoom = ({ path, kept }: Cover): boolean => temporary !== undefined && path === '/var/tmp' && kept.length === 0;
  const shop = (cover: Cover): string => join(terms.folder, String(covers.indexOf(temporary && isSameRoom(cover) ? temporary : cover)));
  const lines = covers.flatMap((cover) => {
    if (isSameRoom(cover)) return [];
    const isShared = SHARED.includes(cover.path);
    const form = isShared ? `size=${sizeOf(cover.path)},mode=1777` : 'size=1m,mode=0755';
    mkdirSync(shop(cover));
    return [
      `tmpfs ${escaped(shop(cover))} tmpfs ${form},nosuid,nodev 0 0`,
      ...cover.kept.map(
        (path) =>
          `${escaped(sourceOf(path, terms))} ${escaped(shop(cover) + path.slice(cover.path.length))} none bind,x-mount.mkdir=0755 0 0`,
      ),
    ];
  });
  const accounts = accountFiles(terms).map(({ source, target }) => `${escaped(source)} ${target} none bind,ro 0 0`);
  const laid = bottomUp.map((cover) => `${escaped(shop(cover))} ${escaped(cover.path)} none rbind 0 0`);
  const table = join(terms.folder, 'mounts');
  writeFileSync(table, `${[...lines, ...accounts, ...laid].join('\n')}\n`);
  // Without --no-mtab every mount is noted in the host's /run/mount/utab for ever, and every start reads all of it: 250 ms after a few thousand.
  const script = '"$1" --no-mtab --all --fstab "$2" || exit 125; shift 2; exec "$@"';
  const entered = terms.slot?.slots.words(terms.slot.name, slotAt(terms)) ?? [tools.unshare, '--mount', '--propagation', 'private', '--'];
  return [...entered, '/bin/sh', '-c', script, 'sh', tools.mount, table];
}

function coversFor(launch: Launch, { codeDir }: LaunchTerms): Cover[] {
  return coversOf(launch.hidden, [...launch.needs, codeDir]);
}

/** Where a process finds its slot while its mounts are put together. */
function slotAt({ folder }: LaunchTerms): string {
  return join(folder, 'slot');
}

/** What is seen at a path that is put back. */
function sourceOf(path: string, terms: LaunchTerms): string {
  return terms.slot && path === terms.codeDir ? slotAt(terms) : path;
}

function accountFiles({ folder, uid }: LaunchTerms): ReturnType<typeof writeAccountFiles> {
  return uid === undefined ? [] : writeAccountFiles(folder, uid);
}

function boxedSizeOf(path: string): number {
  if (path === '/var/tmp') return BOXED_VAR_TMP_BYTES;
  return path === '/tmp' ? TMP_BYTES - BOXED_VAR_TMP_BYTES : sizeOf(path);
}

function sizeOf(path: string): number {
  return path === '/dev/shm' ? SHM_BYTES : TMP_BYTES;
}

/** As fstab(5) wants it. */
function escaped(path: string): string {
  return path.replace(/[\s\\#]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
