import { bubblewrapWords } from './bubblewrap.ts';
import { mountSteps } from './mount-steps.ts';

const MAX_FILES = 1024;

/** What the launch does about it: leaves a process in the network it was born in, or takes that away. */
export type Network = 'host' | 'none';

/**
 * Who keeps the files and processes of functions apart: nobody; namespaces that root makes; namespaces that an ordinary user makes within a user
 * namespace; or bubblewrap.
 */
export type Walls = 'NONE' | 'NAMESPACES' | 'USER_NAMESPACE' | 'BUBBLEWRAP';

/** How processes are put apart on this host. */
export type Launch = {
  /** The program that starts every function. */
  readonly launcher: string;
  readonly walls: Walls;
  /** `bwrap`, where it is the walls. */
  readonly bubblewrap: string | undefined;
  readonly network: Network;
  /** Whether every instance has a user of its own. */
  readonly ownUsers: boolean;
  /** Whether system calls are filtered. */
  readonly filters: boolean;
  /** Folders that are empty for functions, but for what a function needs. */
  readonly hidden: readonly string[];
  /** Files and folders that functions must be able to read: runtimes, interpreters. */
  readonly needs: readonly string[];
};

export type LaunchTerms = {
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
  /** The network to start in, and the user namespace that it is of, as descriptors of the launcher; without it the agent's. */
  readonly network?: { readonly fd: number; readonly ownerFd: number | undefined } | undefined;
  /** What is seen as `/etc/resolv.conf`; without it the host's. */
  readonly resolvConf?: string | undefined;
  /** Whether `codeDir` is the folder of all packages, empty but for what is shown later. Only where mounts are private. */
  readonly isAhead?: boolean;
  /** Whether the launcher ends with the program, as it did, and talks on stderr. */
  readonly isOnce?: boolean;
};

/** Whether an instance has a `/tmp` of its own. */
export function hasPrivateTmp({ walls }: Launch): boolean {
  return walls !== 'NONE';
}

/** Whether all processes of an instance are in a PID namespace, whose end is theirs. */
export function hasPidNamespace({ walls }: Launch): boolean {
  return walls !== 'NONE';
}

/** The whole command. */
export function launchWords(launch: Launch, words: readonly string[], terms: LaunchTerms): string[] {
  const { launcher, walls } = launch;
  const common = [...limitWords(launch, terms), '--cwd', terms.codeDir, ...(terms.isOnce ? ['--once'] : []), '--', ...words];
  const { network } = terms;
  if (walls === 'BUBBLEWRAP') {
    const inNetwork = network ? [launcher, '--in-network', String(network.fd), String(network.ownerFd ?? 'none')] : [];
    return [...inNetwork, ...bubblewrapWords(launch, terms), '--', launcher, '--init', ...common];
  }
  const joined = terms.cgroups.flatMap((folder) => ['--cgroup', folder]);
  return [launcher, '--parent', String(process.pid), ...joined, ...networkWords(terms), ...namespaceWords(launch, terms), ...common];
}

function limitWords({ walls, filters }: Launch, { uid, keepsChannel, maxProcesses }: LaunchTerms): string[] {
  // The kernel counts processes by user, and by user namespace (Linux 5.14): it must be the instance's own.
  const isCounted = uid !== undefined || walls === 'USER_NAMESPACE' || walls === 'BUBBLEWRAP';
  return [
    ...(uid === undefined ? [] : ['--user', String(uid)]),
    ...['--max-files', String(MAX_FILES)],
    ...(isCounted ? ['--max-processes', String(maxProcesses)] : []),
    ...(filters ? ['--filter'] : []),
    ...(keepsChannel ? ['--keep-channel'] : []),
  ];
}

function networkWords({ network }: LaunchTerms): string[] {
  if (!network) return [];
  return ['--network', String(network.fd), ...(network.ownerFd === undefined ? [] : ['--network-owner', String(network.ownerFd)])];
}

function namespaceWords(launch: Launch, terms: LaunchTerms): string[] {
  if (launch.walls === 'NONE') return [];
  const kinds = ['mount', 'pid', 'ipc', 'uts'];
  if (launch.walls === 'USER_NAMESPACE') kinds.unshift('user');
  if (launch.network === 'none') kinds.push('net');
  const ahead = terms.isAhead ? ['--code-root', terms.codeDir] : [];
  return ['--namespaces', kinds.join(), '--proc', ...ahead, ...mountSteps(launch, terms)];
}
