import { bubblewrapArguments, terminalsOf } from './bubblewrap.ts';
import { type Gvisor, gvisorArguments, hostTasksOf, writeGvisorConfig } from './gvisor.ts';
import type { UserLimits } from '../../../domain/user-share.ts';
import { mountSteps } from './mount-steps.ts';

const MAX_FILES = 1024;

/** What the launch does about the network: leaves a process in the one it starts in, or takes that away. */
export type Network = 'host' | 'none';

/**
 * What keeps the files and processes of functions apart: nothing; namespaces that root makes; namespaces that an ordinary user makes within a user
 * namespace; or bubblewrap.
 */
export type Boundary = 'NONE' | 'NAMESPACES' | 'USER_NAMESPACE' | 'BUBBLEWRAP';

/** How processes are put apart on this host. */
export type Launch = {
  /** The program that starts every function. */
  readonly launcher: string;
  readonly boundary: Boundary;
  /** `bwrap`, where it is the boundary. */
  readonly bubblewrap: string | undefined;
  /** A kernel of its own for each instance, within namespaces; undefined where functions call the host's. */
  readonly gvisor: Gvisor | undefined;
  readonly network: Network;
  /** Whether every instance has a user of its own. */
  readonly ownUsers: boolean;
  /** What each may have of what the kernel counts for the agent's user, which all have; undefined where they do not. */
  readonly shares: UserLimits | undefined;
  /** Whether system calls are filtered. */
  readonly filters: boolean;
  /** Folders that are empty for functions, but for what a function needs. */
  readonly hidden: readonly string[];
  /** Files and folders that functions must be able to read: runtimes, interpreters. */
  readonly needs: readonly string[];
};

export type LaunchOptions = {
  readonly uid: number | undefined;
  readonly codeDir: string;
  /** An empty folder of the instance, its parent closed to others. */
  readonly folder: string;
  readonly keepsChannel: boolean;
  /** Tasks of the instance: processes and threads. */
  readonly maxProcesses: number;
  /** Room of a private `/tmp`, `/var/tmp` and `/dev/shm` together; more is ENOSPC. */
  readonly tmpMb: number;
  /** Folders of cgroups that the process joins first. */
  readonly cgroups: readonly string[];
  /** Folders of all its cgroups: it sees nothing else of `/sys/fs/cgroup` where it sees mounts of its own. */
  readonly ownCgroups: readonly string[];
  /** The network to start in, and the user namespace that it is of, as descriptors of the launcher; without it the agent's. */
  readonly network?: { readonly fd: number; readonly ownerFd: number | undefined } | undefined;
  /** What is seen as `/etc/resolv.conf`; without it the host's. */
  readonly resolvConf?: string | undefined;
  /** Whether `codeDir` is the folder of all packages, empty but for what is shown later. Only where mounts are private. */
  readonly isAhead?: boolean;
  /** The platform's variables, where they cannot come with the launcher. */
  readonly environment?: Readonly<Record<string, string>> | undefined;
  /** Descriptors of the launcher that its init within a gVisor sandbox gets: the channel, and where it is talked to. */
  readonly handed?: readonly number[];
  /** Whether the launcher ends with the program, as it did, and talks on stderr. */
  readonly isOnce?: boolean;
};

/** Whether an instance has a `/tmp` of its own. */
export function hasPrivateTmp({ boundary }: Launch): boolean {
  return boundary !== 'NONE';
}

/** Whether all processes of an instance are in a PID namespace, whose end is theirs. */
export function hasPidNamespace({ boundary }: Launch): boolean {
  return boundary !== 'NONE';
}

/** The complete command. */
export function launchArguments(launch: Launch, words: readonly string[], terms: LaunchOptions): string[] {
  const { launcher, boundary, gvisor } = launch;
  if (gvisor) return insideGvisor(launch, gvisor, words, terms);
  const common = [...userArguments(terms), ...limitArguments(launch, terms), ...programArguments(words, terms)];
  const { network } = terms;
  if (boundary === 'BUBBLEWRAP') {
    // An agent that cannot make mounts before bubblewrap does leaves terminals without a bound: an ordinary user in the host's network.
    const terminals = launch.ownUsers || network?.ownerFd !== undefined ? terminalsOf(terms) : undefined;
    const before = [launcher, '--before-sandbox', String(network?.fd ?? 'none'), String(network?.ownerFd ?? 'none'), terminals ?? 'none'];
    return [...before, ...bubblewrapArguments(launch, terms, terminals), '--', launcher, '--init', ...common];
  }
  return [launcher, ...outerArguments(terms), ...namespaceArguments(launch, terms), ...shareArguments(launch), ...common];
}

/**
 * The launcher twice: outside it makes the namespaces, within which the sandbox runs as the instance's user; inside it is the sandbox's init, which gets its
 * channel and its messages from the one outside. The filter is for the inner one: a sandbox makes namespaces and traces processes.
 */
function insideGvisor(launch: Launch, gvisor: Gvisor, words: readonly string[], terms: LaunchOptions): string[] {
  const inner = [
    launch.launcher,
    '--init',
    '--handed',
    ...innerUserArguments(terms),
    ...limitArguments(launch, terms),
    ...programArguments(words, terms),
  ];
  const config = writeGvisorConfig(launch, inner, terms);
  const handed = (terms.handed ?? []).flatMap((fd) => ['--hand-on', String(fd)]);
  const once = terms.isOnce ? ['--once'] : [];
  const boundary = namespaceArguments(launch, terms, config);
  const most = ['--max-processes', String(hostTasksOf(terms.maxProcesses))];
  return [
    launch.launcher,
    ...outerArguments(terms),
    ...boundary,
    ...userArguments(terms),
    ...most,
    ...handed,
    ...once,
    '--',
    ...gvisorArguments(gvisor),
  ];
}

function outerArguments(terms: LaunchOptions): string[] {
  return ['--parent', String(process.pid), ...terms.cgroups.flatMap((folder) => ['--cgroup', folder]), ...networkArguments(terms)];
}

function userArguments({ uid }: LaunchOptions): string[] {
  return uid === undefined ? [] : ['--user', String(uid)];
}

/** Root in the sandbox is the instance's user outside, the only one whose files it can make; the function sees the number that it has outside. */
function innerUserArguments({ uid }: LaunchOptions): string[] {
  return ['--namespaces', 'user', '--user-inside', String(uid ?? process.getuid?.() ?? 0)];
}

function programArguments(words: readonly string[], { codeDir, isOnce }: LaunchOptions): string[] {
  return ['--cwd', codeDir, ...(isOnce ? ['--once'] : []), '--', ...words];
}

/** An option for each of them that is known. */
const SHARE_OPTIONS = {
  pending: '--max-pending',
  queueBytes: '--max-queue-bytes',
  inotify: '--max-inotify',
  inotifyWatches: '--max-inotify-watches',
  watches: '--max-watches',
} as const;

function shareArguments({ shares }: Launch): string[] {
  if (!shares) return [];
  return Object.entries(SHARE_OPTIONS).flatMap(([name, option]) => {
    const share = shares[name as keyof UserLimits]; // the keys of the table above
    return share === undefined ? [] : [option, String(share)];
  });
}

function limitArguments({ boundary, filters }: Launch, { uid, keepsChannel, maxProcesses }: LaunchOptions): string[] {
  // The kernel counts processes by user, and by user namespace (Linux 5.14): it must be the instance's own.
  const isCounted = uid !== undefined || boundary === 'USER_NAMESPACE' || boundary === 'BUBBLEWRAP';
  return [
    ...['--max-files', String(MAX_FILES)],
    ...(isCounted ? ['--max-processes', String(maxProcesses)] : []),
    ...(filters ? ['--filter'] : []),
    ...(keepsChannel ? ['--keep-channel'] : []),
  ];
}

function networkArguments({ network }: LaunchOptions): string[] {
  if (!network) return [];
  return ['--network', String(network.fd), ...(network.ownerFd === undefined ? [] : ['--network-owner', String(network.ownerFd)])];
}

function namespaceArguments(launch: Launch, terms: LaunchOptions, gvisorConfig?: string): string[] {
  if (launch.boundary === 'NONE') return [];
  const kinds = ['mount', 'pid', 'ipc', 'uts'];
  if (launch.boundary === 'USER_NAMESPACE') kinds.unshift('user');
  if (launch.network === 'none') kinds.push('net');
  const ahead = terms.isAhead ? ['--code-root', terms.codeDir] : [];
  return [
    '--namespaces',
    kinds.join(),
    gvisorConfig === undefined ? '--proc' : '--bare-proc',
    ...ahead,
    ...mountSteps(launch, terms, gvisorConfig),
  ];
}
