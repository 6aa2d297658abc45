import { chownSync, mkdirSync, rm } from 'node:fs';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { instanceBounds } from '@evenfall/function-model';
import type { StartFault } from '../../../domain/instance-life.ts';
import type { ProcessEvents, ProcessSpec } from '../../../ports.ts';
import type { InstanceCgroup } from '../isolation/cgroups.ts';
import type { Limits } from '../isolation/cgroup-controllers.ts';
import { environmentOf } from './environment.ts';
import { innerLeader } from './inner-leader.ts';
import { GVISOR_MB } from './gvisor-process.ts';
import type { Command } from './interpreters.ts';
import { hostTasksOf } from '../isolation/gvisor.ts';
import { hasPrivateTmp } from '../isolation/launch.ts';
import { launchArguments } from '../isolation/launch-arguments.ts';
import { releaseBytes } from './variables.ts';
import { type LaunchedProcess, launchedProcess } from './launched-process.ts';
import type { DriverHost } from './driver-host.ts';
import { closeSinks, type OutputPipe } from './output-pipes.ts';
import type { Child, ChildOptions } from './spawn-child.ts';
import { AGENT_MARKER, HOME_MARKER, INSTANCE_MARKER } from '../sweep/sweep.ts';

const MB = 1024 * 1024;
const MB_PER_CPU_SHARE = 128;
/** Above the function's memory, for what is not resident in it: the watch from outside is the exact limit, this one stops what is faster than it. */
const MEMORY_MARGIN_BYTES = 64 * MB;
/**
 * Of a function's memory, for its sockets: the kernel counts those of all the host together (`net.ipv4.tcp_mem`), and from a sixteenth of its memory on
 * it presses every connection of the host, the platform's too.
 */
const SOCKET_PART = 16;

/** Of a process that is started before its instance is known, with `spec.codeDir` the folder of all packages. */
export type StartAhead = {
  /** Id of the instance it became; undefined until then. */
  becameId(): string | undefined;
};

/** Starts the process of one instance: with all its isolation in place before the first instruction of the function runs. */
export function startProcess(host: DriverHost, spec: ProcessSpec, events: ProcessEvents, ahead?: StartAhead): LaunchedProcess | StartFault {
  const { launch } = host;
  const command = host.interpreters.commandOf(spec.fn, spec.codeDir);
  if ('statusCode' in command) return command;
  if (launch.network === 'none' && command.gated)
    return {
      statusCode: 445,
      message: `Runtime ${spec.fn.runtime} talks over the network, and functions have none that this host’s agent may enter`,
    };
  const uid = host.uids?.claim();
  if (host.uids && uid === undefined)
    return { statusCode: 449, message: 'Every user id of this host’s agent is in use: EVENFALL_AGENT_UIDS' };
  const cgroup = host.cgroups?.create(spec.instanceId, limitsOf(host, spec));
  if (host.cgroups && !cgroup) {
    if (uid !== undefined) host.uids?.release(uid);
    return { statusCode: 500, message: 'The cgroup of the instance cannot be made, and without it nothing bounds the function' };
  }
  try {
    return launchFor(host, spec, events, { uid, cgroup, command, ahead });
  } catch (error) {
    // Nothing has run yet: what was claimed for it is released.
    cgroup?.remove();
    if (uid !== undefined) host.uids?.release(uid);
    rm(join(host.temporaryRoot, spec.instanceId), { recursive: true, force: true }, () => undefined);
    throw error;
  }
}

type Claimed = {
  readonly uid: number | undefined;
  readonly cgroup: InstanceCgroup | undefined;
  readonly command: Command;
  readonly ahead: StartAhead | undefined;
};

/** Throws only where nothing of the function has been started. */
function launchFor(host: DriverHost, spec: ProcessSpec, events: ProcessEvents, { uid, cgroup, command, ahead }: Claimed): LaunchedProcess {
  const { launch } = host;
  const folder = instanceFolder(host, spec, uid);
  const { platform, own } = variablesOf(host, spec, folder);
  const released = releaseBytes(own);
  const isBoxed = launch.boundary === 'BUBBLEWRAP';
  // After the descriptors of every launcher, and that for the reports of bubblewrap.
  const firstPlace = isBoxed || launch.gvisor ? 6 : 5;
  const { place, resolvConf } = spec.network;
  const handed = place ? [place.fd, ...(place.ownerFd === undefined ? [] : [place.ownerFd])] : [];
  const [program = '', ...args] = launchArguments(launch, command.words, {
    uid,
    codeDir: spec.codeDir,
    folder,
    keepsChannel: !command.gated,
    ...instanceBounds(spec.fn),
    cgroups: isBoxed ? [] : (cgroup?.folders ?? []),
    ownCgroups: cgroup?.folders ?? [],
    isAhead: ahead !== undefined && hasPrivateTmp(launch),
    network: place && { fd: firstPlace, ownerFd: place.ownerFd === undefined ? undefined : firstPlace + 1 },
    resolvConf,
    environment: platform,
    handed: [3, 5],
  });
  const pipes = openOutputs(host, uid);
  const [out, err] = pipes;
  const child = spawnLauncher(host, pipes, {
    program,
    args,
    env: launch.gvisor ? markersOf(platform) : platform,
    descriptors: [
      'none',
      out?.sink ?? 'socket',
      err?.sink ?? 'socket',
      'socket',
      'socket',
      ...(firstPlace > 5 ? (['socket'] as const) : []),
      ...handed,
    ],
  });
  const channel = socketOf(child, 3);
  const inner = isBoxed && child.pid !== undefined ? innerLeader(socketOf(child, 5)) : undefined;
  const process = launchedProcess({
    host,
    spec,
    events,
    child,
    uid,
    cgroup,
    folder,
    inner,
    inside: launch.gvisor && socketOf(child, 5),
    channel,
    control: socketOf(child, 4),
    outputs: [out?.source ?? child.sockets[1] ?? null, err?.source ?? child.sockets[2] ?? null],
    becameId: () => ahead?.becameId(),
  });
  if (inner)
    void joinFromOutside(
      inner.known,
      () => [inner.initPid(), inner.leaderPid()],
      cgroup,
      () => process.release(released),
      process.killGroup,
    );
  else {
    // The launcher outside the sandbox reads variables too, and has none: they are for the one inside.
    if (launch.gvisor) process.release(releaseBytes({}));
    process.release(released);
  }
  return process;
}

/** Both of them or none. */
function openOutputs({ openPipe }: DriverHost, uid: number | undefined): OutputPipe[] {
  const pipes: OutputPipe[] = [];
  try {
    if (openPipe) for (let count = 0; count < 2; count++) pipes.push(openPipe(uid));
    return pipes;
  } catch (error) {
    closeSinks(pipes);
    for (const { source } of pipes) source.destroy();
    throw error;
  }
}

/** Starts the launcher; the ends of its output pipes that it has by then are closed here. */
function spawnLauncher({ spawnChild }: DriverHost, pipes: readonly OutputPipe[], terms: ChildOptions): Child {
  try {
    return spawnChild(terms);
  } catch (cause) {
    for (const { source } of pipes) source.destroy();
    throw new Error(`The launcher cannot be started: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  } finally {
    closeSinks(pipes);
  }
}

function socketOf({ sockets }: Child, fd: number): Duplex {
  const socket = sockets[fd];
  if (!socket) throw new Error(`Descriptor ${fd} of the launcher is no socket`); // cannot happen: it is requested as one
  return socket;
}

/** bubblewrap keeps the host's cgroups out of sight: the agent puts its processes into one before it lets the function go on. */
async function joinFromOutside(
  known: Promise<void>,
  pids: () => number[],
  cgroup: InstanceCgroup | undefined,
  release: () => void,
  giveUp: () => void,
): Promise<void> {
  await known;
  const present = pids().filter((pid) => pid !== 0);
  if (!cgroup || (await cgroup.join(present))) release();
  else giveUp();
}

function limitsOf({ launch }: DriverHost, { fn }: ProcessSpec): Limits {
  const { tmpMb, maxProcesses } = instanceBounds(fn);
  const sandboxBytes = launch.gvisor ? GVISOR_MB * MB : 0;
  return {
    memoryBytes: (fn.memoryMb + (hasPrivateTmp(launch) ? tmpMb : 0)) * MB + MEMORY_MARGIN_BYTES + sandboxBytes,
    socketBytes: (fn.memoryMb / SOCKET_PART) * MB,
    processes: launch.gvisor ? hostTasksOf(maxProcesses) : maxProcesses,
    cpuShare: fn.memoryMb / MB_PER_CPU_SHARE,
  };
}

/** The instance's own: its mounts are put together in it, or it is its `TMPDIR`. */
function instanceFolder(host: DriverHost, { instanceId }: ProcessSpec, uid: number | undefined): string {
  const folder = join(host.temporaryRoot, instanceId);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (!hasPrivateTmp(host.launch) && uid !== undefined) chownSync(folder, uid, uid);
  return folder;
}

/** The platform's variables, and those of the function alone: these come last, for before its program root may be at work. */
function variablesOf(host: DriverHost, spec: ProcessSpec, folder: string): Record<'platform' | 'own', Record<string, string>> {
  const temporaryDir = hasPrivateTmp(host.launch) ? '/tmp' : folder;
  const of = { ...spec, agentId: host.agentId, home: host.temporaryRoot, temporaryDir };
  const all = environmentOf(of);
  const platform = environmentOf({ ...of, fn: { ...spec.fn, environment: {} } });
  return { platform, own: Object.fromEntries(Object.entries(all).filter(([name, value]) => platform[name] !== value)) };
}

/** The variables by which a sweep finds processes: runsc needs no others. */
function markersOf(platform: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries([INSTANCE_MARKER, AGENT_MARKER, HOME_MARKER].map((name) => [name, platform[name] ?? '']));
}
