import type { UserLimits } from '../../../domain/user-share.ts';

/** gVisor as it is on this host. */
export type Gvisor = {
  /** `runsc`. */
  readonly program: string;
  /** Its global options: those of the version that is here. */
  readonly options: readonly string[];
};

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
