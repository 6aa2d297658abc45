import { spawn } from 'node:child_process';
import { chownSync, mkdirSync, rm } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Duplex, Readable } from 'node:stream';
import { SignalScope, TerminationStep_Delivery as Delivery } from '@evenfall/contracts/v1/termination';
import type { StartFault } from '../../domain/instance-life.ts';
import type { InstanceProcess, ProcessEvents, ProcessSpec } from '../../ports.ts';
import type { InstanceCgroup } from './cgroup.ts';
import { environmentOf } from './environment.ts';
import { exitOf } from './exit-of.ts';
import { innerLeader } from './inner-leader.ts';
import { killUser } from './kill-user.ts';
import { hasPrivateTmp, type LaunchTerms, launchWords, TMP_BYTES } from './launcher.ts';
import type { DriverHost } from './process-driver.ts';
import { blockedByAllThreads, isGroupAlive, receptionOf, untilGroupEnds } from './group.ts';
import { closeSinks } from './pipes.ts';
import { familyOf, readResidentBytes, readStat, readStatus } from './proc-fs.ts';
import { MAX_PROCESSES, releaseLine } from './stage.ts';
import { continueStopped, descendantsOf, isStopped, sweepInstance } from './sweep.ts';

const MB = 1024 * 1024;
/** Above the function's memory, for what is not resident in it: the watch from outside is the exact limit, this one stops what is faster than it. */
const MEMORY_MARGIN_BYTES = 64 * MB;
const SIGCONT = 18;
const OUTPUT_WITHIN_MS = 200;

/** Of a process that is started before its instance is known, with `spec.codeDir` the folder of all packages. */
export type StartAhead = {
  readonly slot: LaunchTerms['slot'];
  /** Id of the instance it became; undefined until then. */
  becameId(): string | undefined;
};

/** Starts the process of one instance. Its program waits until it is told its variables, and that is not before it is contained if it is the package's own. */
export function startProcess(host: DriverHost, spec: ProcessSpec, events: ProcessEvents, ahead?: StartAhead): InstanceProcess | StartFault {
  const { launch, cgroups, uids } = host;
  const command = host.interpreters.commandOf(spec.fn, spec.codeDir);
  if ('statusCode' in command) return command;
  if (launch.network === 'none' && command.gated)
    return {
      statusCode: 445,
      message: `Runtime ${spec.fn.runtime} talks over the network, and functions have none that this host’s agent may enter`,
    };
  const uid = uids?.take();
  if (uids && uid === undefined) return { statusCode: 449, message: 'Every user id of this host’s agent is taken: EVENFALL_AGENT_UIDS' };
  const folder = join(host.temporaryRoot, spec.instanceId);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const isPrivate = hasPrivateTmp(launch);
  if (!isPrivate && uid !== undefined) chownSync(folder, uid, uid);

  const of = { ...spec, agentId: host.agentId, home: host.temporaryRoot, temporaryDir: isPrivate ? '/tmp' : folder };
  const whole = environmentOf(of);
  // The function's own variables come last, to the program alone: before it, root may be at work.
  const platform = environmentOf({ ...of, fn: { ...spec.fn, environment: {} } });
  const own = Object.fromEntries(Object.entries(whole).filter(([name, value]) => platform[name] !== value));
  const terms = { uid, codeDir: spec.codeDir, folder, keepsChannel: !command.gated, slot: ahead?.slot };
  const [program = '', ...args] = launchWords(launch, command.words, terms);
  const isBoxed = launch.bubblewrap !== undefined;
  const pipes = host.openPipe ? [host.openPipe(uid), host.openPipe(uid)] : [];
  const [out, err] = pipes;
  const child = spec.network.enter(() =>
    spawn(program, args, {
      cwd: spec.codeDir,
      env: platform,
      detached: true, // its own session and group: one kill reaches all of it
      stdio: ['ignore', out?.sink ?? 'pipe', err?.sink ?? 'pipe', 'pipe', ...(isBoxed ? (['pipe'] as const) : [])],
    }),
  );
  closeSinks(pipes);
  const [stdout, stderr] = [out?.source ?? child.stdout, err?.source ?? child.stderr];
  const channel = child.stdio[3] as Duplex; // 'pipe' makes a socket pair: both directions
  const childPid = child.pid ?? 0;
  const inner = isBoxed && childPid !== 0 ? innerLeader(child.stdio[4] as Readable) : undefined;
  const leader = (): number => (inner ? inner.leaderPid() : childPid);
  /** Of its session and group; in a namespace that is init, whose end is the end of all. */
  const groupId = (): number => (inner ? inner.initPid() : childPid);
  const startTicks = childPid === 0 ? '' : (readStat(childPid)?.startTicks ?? '');
  let alive = childPid !== 0;
  let descendants: ReadonlyMap<number, string> = new Map();
  let familySize = 0;
  let openOutputs = 3; // standard output, standard error, the channel
  let isSwept = false;
  let onOutputEnd: (() => void) | undefined;

  const limits = { memoryBytes: spec.fn.memoryMb * MB + (isPrivate ? TMP_BYTES : 0) + MEMORY_MARGIN_BYTES, processes: MAX_PROCESSES };
  const made = childPid === 0 ? undefined : cgroups?.create(spec.instanceId, limits);
  const cgroup: InstanceCgroup | undefined = made?.cgroup;
  const contain = async (): Promise<void> => {
    await inner?.known;
    // Whoever is there waits for its variables: nobody forks meanwhile.
    await made?.join(inner ? [inner.initPid(), inner.leaderPid()].filter((pid) => pid !== 0) : [childPid]);
  };
  const contained = contain();
  const release = (): void => void channel.write(releaseLine(own));
  if (command.gated || inner) void contained.then(release);
  else release();
  channel.on('data', (chunk: Buffer) => events.onChannel(chunk));
  const outputEnded = (): void => {
    openOutputs -= 1;
    if (openOutputs === 0) onOutputEnd?.();
  };
  stdout?.on('data', (chunk: Buffer) => events.onOutput('stdout', chunk));
  stderr?.on('data', (chunk: Buffer) => events.onOutput('stderr', chunk));
  for (const stream of [stdout, stderr, channel]) {
    stream?.on('error', () => undefined); // EPIPE of a process that is gone: its exit is the news
    stream?.on('close', outputEnded);
  }
  child.on('error', (error) => {
    if (childPid === 0) events.onExit(null, null, error.message);
  });
  // Signals cannot hit a stranger: until the child is reaped its number, and that of its group, is not given to anybody else, and libuv
  // reaps it and calls this in the same breath. From here on nothing is sent to the number; the sweep goes by number and start.
  child.on('exit', (code, signal) => {
    alive = false;
    const exit = exitOf(code, signal, isBoxed);
    events.onExit(exit.code, exit.signal, undefined);
  });

  const deliver = (target: number, signal: number): Delivery => {
    if (!alive || target === 0) return Delivery.NO_PROCESS; // 0 is the agent's own group
    return sendTo(target, signal);
  };
  const sendTo = (target: number, signal: number): Delivery => {
    try {
      process.kill(target, signal);
      return Delivery.DELIVERED;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM' ? Delivery.DENIED : Delivery.NO_PROCESS;
    }
  };
  return {
    uid,
    contained: command.gated || !made ? undefined : contained,
    containment: () => (isBoxed ? 'PID_NAMESPACE' : cgroup?.complete ? 'CGROUP' : 'MARKERS'),
    write: (bytes, done) => void channel.write(bytes, done),
    signal(signal, scope) {
      // A stopped process takes the signal but acts on it only once it runs again. SIGCONT goes to nobody who is not stopped: it can be caught.
      if (alive && isStopped(readStat(leader()))) deliver(-groupId(), SIGCONT);
      else if (alive && scope === SignalScope.GROUP && groupId() !== 0) continueStopped(groupId());
      if (!alive && scope === SignalScope.GROUP && !isBoxed && childPid !== 0 && isGroupAlive(childPid)) return sendTo(-childPid, signal);
      return deliver(scope === SignalScope.GROUP ? -groupId() : leader(), signal);
    },
    killGroup() {
      if (!alive) return;
      if (inner) {
        familySize = Math.max(0, familyOf(inner.initPid()).length - 2); // all but init and the leader
        // The end of init is the end of all; before there is one, bwrap is all there is.
        if (deliver(inner.initPid(), 9) !== Delivery.DELIVERED) deliver(childPid, 9);
        return;
      }
      if (!cgroup) descendants = descendantsOf(childPid);
      deliver(-childPid, 9);
    },
    // In a PID namespace all of them end with the first.
    isGroupLeft: () => !isBoxed && childPid !== 0 && isGroupAlive(childPid),
    groupEnded: () => untilGroupEnds(childPid, () => isSwept),
    blockedByAll: () => (alive && leader() !== 0 ? blockedByAllThreads(leader()) : 0n),
    reception: (signal, isBlocked) => receptionOf(leader(), signal, isBlocked, () => alive),
    status: () => (alive && leader() !== 0 ? readStatus(leader()) : undefined),
    residentBytes() {
      const counted = cgroup?.complete ? cgroup.memoryBytes() : undefined;
      if (counted !== undefined) return counted;
      const pids = cgroup?.complete ? cgroup.pids() : familyOf(childPid);
      return pids.reduce((sum, each) => sum + readResidentBytes(each), 0);
    },
    ranOutOfMemory: () => cgroup?.ranOutOfMemory() === true,
    async sweep() {
      isSwept = true;
      // With init the kernel kills all that is in its namespace: what is seen of it meanwhile is no stray.
      for (let tries = 0; inner && isThere(inner.initPid()) && tries < 200; tries++) await pause(2);
      const leaderStart = inner ? inner.initStart() : startTicks;
      const target = {
        instanceId: spec.instanceId,
        becameId: ahead?.becameId(),
        leaderPid: groupId(),
        leaderStart,
        uid,
        cgroup,
        descendants,
      };
      const swept = await sweepInstance({ ...target, killUser: (user) => killUser(launch.setpriv, user) });
      // Nothing can write any more: what the pipes still hold ends with their end. Bounded, should a stranger hold one open.
      if (openOutputs > 0) await within(OUTPUT_WITHIN_MS, (done) => (onOutputEnd = done));
      for (const stream of [stdout, stderr, channel]) stream?.destroy();
      if (uid !== undefined) uids?.release(uid);
      rm(folder, { recursive: true, force: true }, () => undefined);
      return swept + familySize;
    },
  };
}

function isThere(pid: number): boolean {
  const state = pid === 0 ? undefined : readStat(pid)?.state;
  return state !== undefined && state !== 'Z';
}

function within(ms: number, start: (done: () => void) => void): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    start(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
