import type { UidPool } from '../../../domain/uid-pool.ts';
import type { Cgroups } from '../isolation/cgroups.ts';
import type { Launch } from '../isolation/launch.ts';
import type { Interpreters } from './interpreters.ts';
import type { OpenPipe } from './output-pipes.ts';
import type { SpawnChild } from './spawn-child.ts';

export type LauncherWatch = { launched(pid: number): void; ended(pid: number): void };

/** What every start works with. */
export type DriverHost = {
  readonly agentId: string;
  readonly temporaryRoot: string;
  readonly interpreters: Interpreters;
  readonly launch: Launch;
  readonly cgroups: Cgroups | undefined;
  /** undefined where all run as the agent's user. */
  readonly uids: UidPool | undefined;
  /** undefined where the outputs of processes have to be sockets. */
  readonly openPipe: OpenPipe | undefined;
  readonly spawnChild: SpawnChild;
  readonly launchers: LauncherWatch | undefined;
  /** An id that is not used again: a process of its last holder may be left. */
  onUserLost(uid: number): void;
};
