import { mkdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { type Cover, coversOf, foldersDownTo, isWithin } from '../../../domain/mount-plan.ts';
import { writeAccountFiles } from './account-files.ts';
import type { Launch, LaunchOptions } from './launch.ts';

/** Where runsc finds its bundle and keeps its state, in mounts of the instance; the function sees an empty folder. */
export const GVISOR_ROOM = '/run/evenfall-gvisor';
/** Folders of the room, by the place where they are seen. */
const ROOMS: ReadonlyMap<string, string> = new Map([
  ['/tmp', 'tmp'],
  ['/var/tmp', 'var-tmp'],
]);
const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];
const DEVICE_LINKS = [
  ['/proc/self/fd', 'fd'],
  ['/proc/self/fd/0', 'stdin'],
  ['/proc/self/fd/1', 'stdout'],
  ['/proc/self/fd/2', 'stderr'],
  ['pts/ptmx', 'ptmx'],
] as const;

/**
 * The steps by which a launcher makes what a function sees of the host's files: all of it read-only, some of it covered. Covers are put together in
 * the instance's folder and then laid over their places; the one that hides this folder comes last.
 */
export function mountSteps(launch: Launch, terms: LaunchOptions, gvisorConfig?: string): string[] {
  const covers = coversFor(launch, terms);
  const shop = (name: string | number): string => join(terms.folder, String(name));
  const placeOf = (cover: Cover): string => {
    const room = ROOMS.get(cover.path);
    return room === undefined ? shop(covers.indexOf(cover)) : join(shop('room'), room);
  };
  const files = ownFilesOf(terms);
  mkdirSync(shop('room'));
  const steps = ['--readonly', '--tmpfs', shop('room'), `${terms.tmpMb}m`, '1777'];
  for (const room of [...ROOMS.values(), 'shm']) steps.push('--dir', join(shop('room'), room), '1777');
  for (const cover of covers) {
    const place = placeOf(cover);
    const isRoom = ROOMS.has(cover.path);
    if (!isRoom) {
      mkdirSync(place);
      steps.push('--tmpfs', place, '1m', '0755');
    }
    if (cover.path === '/run' && gvisorConfig !== undefined) steps.push(...gvisorSteps(shop('gvisor'), place, gvisorConfig));
    if (cover.path === '/dev') steps.push(...deviceSteps(place, join(shop('room'), 'shm')));
    steps.push(...keptSteps(cover, place, terms, files));
    // What the launcher shows later has to be mounted somewhere.
    const isOpen = terms.isAhead && cover.kept.includes(terms.codeDir);
    if (!isRoom && !isOpen) steps.push('--seal', place);
  }
  for (const { source, target } of files) steps.push('--bind', source, target);
  const bottomUp = [...covers].sort((a, b) => Number(isWithin(terms.folder, a.path)) - Number(isWithin(terms.folder, b.path)));
  for (const cover of bottomUp) steps.push('--bind', placeOf(cover), cover.path);
  return steps;
}

/** What is put back of a covered folder. */
function keptSteps(cover: Cover, place: string, terms: LaunchOptions, files: readonly OwnFile[]): string[] {
  const inPlace = (path: string): string => place + path.slice(cover.path.length);
  return cover.kept.flatMap((path) => {
    // `/dev/shm` is there already, and writable by all.
    const onTheWay = foldersDownTo(path).filter(
      (each) => each !== path && each !== cover.path && each !== '/dev/shm' && isWithin(each, cover.path),
    );
    const folders = onTheWay.flatMap((each) => ['--dir', inPlace(each), '0755']);
    const target = statSync(path).isDirectory() ? ['--dir', inPlace(path), '0755'] : ['--file', inPlace(path)];
    const isEmpty = terms.isAhead && path === terms.codeDir;
    const source = files.find((each) => each.target === path)?.source ?? path;
    return [...folders, ...target, ...(isEmpty ? [] : ['--bind', source, inPlace(path)])];
  });
}

/** Room for the bundle and the state of runsc, which runs as the instance's user. */
function gvisorSteps(room: string, run: string, config: string): string[] {
  mkdirSync(room);
  const place = join(run, basename(GVISOR_ROOM));
  return [
    ...['--tmpfs', room, '4m', '1777', '--file', join(room, 'config.json'), '--bind', config, join(room, 'config.json')],
    ...['--dir', place, '0755', '--bind', room, place],
  ];
}

/** A `/dev` with what every program may expect, and nothing of the host's hardware. */
function deviceSteps(place: string, shm: string): string[] {
  return [
    ...DEVICES.flatMap((name) => ['--file', join(place, name), '--bind', `/dev/${name}`, join(place, name)]),
    ...['--dir', join(place, 'pts'), '0755', '--devpts', join(place, 'pts')],
    ...['--dir', join(place, 'shm'), '1777', '--bind', shm, join(place, 'shm')],
    ...DEVICE_LINKS.flatMap(([to, name]) => ['--link', to, join(place, name)]),
  ];
}

export function coversFor(launch: Launch, { codeDir, ownCgroups }: LaunchOptions): Cover[] {
  return coversOf(launch.hidden, [...launch.needs, ...nameServers(), ...ownCgroups, codeDir]);
}

/** A file that is made for the instance, and the place of the host's that it is laid over. */
export type OwnFile = { readonly source: string; readonly target: string };

export function ownFilesOf({ folder, uid, resolvConf }: LaunchOptions): OwnFile[] {
  const accounts = uid === undefined ? [] : writeAccountFiles(folder, uid);
  const [target] = resolvConf === undefined ? [] : nameServers();
  if (resolvConf === undefined || target === undefined) return accounts;
  const source = join(folder, 'resolv.conf');
  writeFileSync(source, resolvConf, { mode: 0o644 });
  return [...accounts, { source, target }];
}

/** The file that names the name servers is a link into `/run` on many hosts. */
function nameServers(): string[] {
  try {
    return [realpathSync('/etc/resolv.conf')];
  } catch {
    return []; // a host without names
  }
}
