import { mkdirSync } from 'node:fs';
import { rm as removeFolder } from 'node:fs/promises';
import { newUuidV7 } from '@evenfall/time';
import { uidPool } from '../../domain/uid-pool.ts';
import type { Ability } from '../../domain/ability.ts';
import type { ProcessDriver } from '../../ports.ts';
import { type Cgroups, openCgroups } from './isolation/cgroups.ts';
import type { LaunchChoice, SandboxRequest } from './host-probe/choose-launch.ts';
import type { Interpreters } from './launch/interpreters.ts';
import { hasPidNamespace, type Launch } from './isolation/launch.ts';
import type { DriverHost, LauncherWatch } from './launch/driver-host.ts';
import type { OpenPipe } from './launch/output-pipes.ts';
import type { SpawnChild } from './launch/spawn-child.ts';
import { probeReady } from './ready/probe-ready.ts';
import { type ReadySupport, startReady } from './ready/ready-process.ts';
import { measureTemporary } from './isolation/temporary-use.ts';
import { startProcess } from './launch/start-process.ts';
import { sweepAgent } from './sweep/sweep.ts';

export type ProcessDriverOptions = {
  readonly agentId: string;
  /** Of its cgroups, by claim. */
  readonly cgroupName: string;
  /** Exists; its parent is the agent's folder. */
  readonly temporaryRoot: string;
  readonly interpreters: Interpreters;
  /** What is known of the host besides. */
  readonly abilities: readonly Ability[];
  readonly choice: LaunchChoice;
  readonly uids: SandboxRequest['uids'];
  readonly openPipe: OpenPipe | undefined;
  readonly spawnChild: SpawnChild;
  onUserLost?(uid: number): void;
  /** Of each launcher, whose end is that of its function. */
  readonly launchers?: LauncherWatch | undefined;
};

/** Runs every instance as processes of this host, as far apart from each other and the agent as its launch goes. */
export function processDriver({
  agentId,
  cgroupName,
  temporaryRoot,
  interpreters,
  abilities,
  choice,
  uids,
  openPipe,
  spawnChild,
  onUserLost = () => undefined,
  launchers,
}: ProcessDriverOptions): ProcessDriver {
  const { launch } = choice;
  let lostUserIds = 0;
  const cgroups = openCgroups(cgroupName);
  const host: DriverHost = {
    agentId,
    temporaryRoot,
    interpreters,
    launch,
    cgroups,
    uids: launch.ownUsers && uids ? uidPool(uids, uids.lost) : undefined,
    openPipe,
    spawnChild,
    launchers,
    onUserLost(uid) {
      lostUserIds += 1;
      onUserLost(uid);
    },
  };
  const known: Ability[] = [...choice.abilities, ...cgroupAbilities(cgroups, launch), ...abilities];
  let place: ReadySupport | undefined;
  return {
    abilities: known,
    start: (spec, events) => startProcess(host, spec, events),
    async sweepEarlierSessions() {
      const count = (uids?.sweptCount ?? 0) + (await sweepAgent(agentId, temporaryRoot));
      // No process is left that uses it.
      await removeFolder(temporaryRoot, { recursive: true, force: true });
      mkdirSync(temporaryRoot, { recursive: true, mode: 0o711 });
      return count;
    },
    async prepareReady(perKind) {
      const found = await probeReady(host, perKind);
      known.push(found.ability);
      place = found.place;
      return place !== undefined;
    },
    startReady: (kind, network, onUp, onGone) =>
      place && startReady(host, place, kind, { id: `ready-${newUuidV7()}`, network, onUp, onGone }),
    measureTemporary,
    shareProcessor: (nowMs) => cgroups?.shareProcessor(nowMs),
    lostUserIds: () => lostUserIds,
    close() {
      cgroups?.close();
    },
  };
}

function cgroupAbilities(cgroups: Cgroups | undefined, launch: Launch): Ability[] {
  const { ownUsers } = launch;
  const hasNamespace = hasPidNamespace(launch);
  const ability = (name: string, available: boolean, yes: string, no: string): Ability => ({
    name,
    available,
    detail: available ? yes : no,
  });
  return [
    ability(
      'complete-end',
      hasNamespace || ownUsers || cgroups?.kills === true,
      hasNamespace
        ? 'an instance is ended with its PID namespace'
        : ownUsers
          ? 'an instance is ended with its user'
          : 'an instance is ended with its cgroup',
      'no writable cgroup v2: what is left of an instance is found by session, parents and environment',
    ),
    ability(
      'memory-limit',
      cgroups?.memory === true,
      'the kernel holds an instance to its memory and room for its /tmp; its resident memory is looked at four times a second',
      'no writable memory controller: memory is looked at four times a second, and no oftener',
    ),
    ability(
      'cpu-share',
      cgroups?.cpu === true,
      `instances share the processor by their memory, and all of them together ${
        cgroups?.isPlatformApart ? 'count a tenth of the platform' : 'count a fifth of a slice of systemd'
      } where both want it`,
      'no writable cpu controller: the share of a function that forks grows with the number of its processes',
    ),
    ability(
      'process-limit',
      cgroups?.pids === true || ownUsers || hasNamespace,
      'an instance has no more processes than its function’s max_processes',
      'neither a pids controller nor own users: only the limits of the agent’s user bound a fork bomb',
    ),
  ];
}
