import { rm } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { SignalScope, TerminationStep_Delivery as Delivery } from '@evenfall/contracts/v1/termination';
import type { Excess, InstanceProcess } from '../../../ports.ts';
import { blockedByAllThreads, isGroupAlive, receptionOf, untilGroupEnds } from './process-group.ts';
import type { DriverHost } from './driver-host.ts';
import { openControl } from './launcher-channel.ts';
import { type GvisorChannel, openGvisorChannel } from './gvisor-channel.ts';
import { hasPrivateTmp } from '../isolation/launch.ts';
import { endUser } from './launcher-program.ts';
import type { ChildEnd } from './spawn-child.ts';
import { describeGvisor } from './gvisor-process.ts';
import type { Described, Launched } from './launched.ts';
import { familyOf, readResidentBytes, readStat, readStatus } from '../proc-fs.ts';
import { continueStopped, descendantsOf, isStopped, sweepInstance } from '../sweep/sweep.ts';

const SIGCONT = 18;
const SIGKILL = 9;
const OUTPUT_WITHIN_MS = 200;
/** Between two looks for what keeps a launcher from answering, and when the launcher itself is ended. */
const AGAIN_MS = 100;
const GIVE_UP_MS = 5_000;

export type LaunchedProcess = InstanceProcess & {
  /** Lets it go on to its program, with the function's own variables as `releaseBytes` makes them. */
  release(own: Buffer): void;
  /** Shows a package to a process that was started ahead; answers whether it worked. */
  show(codeName: string): Promise<boolean>;
};

/** What is known of the processes of one instance. */
type Family = {
  /** The function's process, as this host numbers it; 0 until it waits for its variables. */
  leaderPid: number;
  leaderStart: string;
  /** Until the launcher has reported how it ended. */
  isAlive: boolean;
  /** Until the launcher has gone itself. */
  isLaunched: boolean;
  isSwept: boolean;
  /** Processes beside the leader that were there when everything was killed. */
  strayCount: number;
  /** What its launcher has ended it for. */
  excess: Excess | undefined;
  /** By pid and start, where neither a namespace nor a cgroup holds them. */
  descendants: ReadonlyMap<number, string>;
};

/** The process of one instance, from its launcher's start to the proof that nothing of it is left. */
export function launchedProcess(of: Launched): LaunchedProcess {
  const { child, inner, cgroup, events, channel } = of;
  const childPid = child.pid ?? 0;
  const family: Family = {
    leaderPid: 0,
    leaderStart: '',
    isAlive: childPid !== 0,
    isLaunched: childPid !== 0,
    isSwept: false,
    strayCount: 0,
    excess: undefined,
    descendants: new Map(),
  };
  const hasNamespace = of.host.launch.boundary !== 'NONE';
  const exited = (code: number | null, signal: string | null, fault?: string): void => {
    if (!family.isAlive && childPid !== 0) return;
    family.isAlive = false;
    // After what the function wrote last, which is there to be read when its end is.
    setImmediate(() => events.onExit(code, signal, fault));
  };
  const inside = of.inside && openGvisorChannel(of.inside, { onExited: exited, onFault: (text) => exited(null, null, text) });
  const control = openControl(of.control, {
    onStarted(pid) {
      family.leaderPid = inner ? inner.leaderPid() : pid;
      family.leaderStart = readStat(family.leaderPid)?.startTicks ?? '';
    },
    onExited(code, signal) {
      // If it is a sandbox that has ended, its function has too.
      if (!inside) exited(code, signal);
      else if (inside.hasStarted()) exited(null, 'SIGKILL');
      else exited(null, null, `gVisor ended with ${code ?? signal} before there was a function in it`);
    },
    onFault: (text) => exited(null, null, text),
    onOther(what, value) {
      if (what === 'exceeded') family.excess = { detail: `The function used more than its share of what its host counts: ${value}` };
    },
  });
  const outputs = watchOutputs(of);
  const over = new Promise<void>((resolve) => {
    const isOver = ({ code, signal }: ChildEnd): void => {
      family.isLaunched = false;
      of.host.launchers?.ended(childPid);
      // A launcher that ends without a report was killed, and its function with it: bubblewrap exits with 128 plus the signal then.
      const isFault = code !== null && code !== 0 && !(inner && inner.leaderPid() !== 0);
      setImmediate(() => (isFault ? exited(null, null, `the launcher ended with ${code}`) : exited(null, signal ?? 'SIGKILL')));
      resolve();
    };
    if (childPid === 0) {
      child.onEnd(({ fault }) => exited(null, null, fault));
      return resolve();
    }
    child.onEnd(isOver);
    of.host.launchers?.launched(childPid);
  });
  const leader = (): number => (inner ? inner.leaderPid() : family.leaderPid);
  const initPid = (): number => (inner ? inner.initPid() : control.initPid());
  const askForEnd = (): void => {
    // It answers even if a process has stopped it, or is about to. bubblewrap reports nothing, but has to end.
    if (family.isLaunched) sendTo(childPid, SIGCONT);
    if (!inner) control.end();
  };
  const proof = async (): Promise<boolean> => {
    if (inner && family.isLaunched) sendTo(initPid() || childPid, SIGKILL);
    else askForEnd();
    const [count] = await Promise.all([inner ? undefined : control.gone, over]);
    if (count !== undefined && !hasNamespace) family.strayCount = Math.max(family.strayCount, count); // those that were counted before are among them
    if (of.uid === undefined || count !== undefined) return count !== undefined || hasNamespace;
    const found = await endUser(of.host.launch.launcher, of.uid);
    return found !== undefined;
  };
  /** Without a user or a namespace of its own a function can keep its launcher from answering: what is left of it goes first, again and again. */
  const sweepUntilProven = async (): Promise<void> => {
    const proven = proof().then(() => true);
    const giveUpMs = performance.now() + GIVE_UP_MS;
    do {
      family.strayCount += await sweepInstance(targetOf(of, family));
      if (performance.now() > giveUpMs) sendTo(childPid, SIGKILL);
      askForEnd();
    } while (!(await Promise.race([proven, pause(AGAIN_MS, false)])));
  };
  const described = inside ? describeGvisor(of, inside, () => family.isAlive, initPid) : describe(of, family, leader);
  /** Its processes cannot be counted any more once it has ended. */
  const endSandbox = async ({ countOthers }: GvisorChannel): Promise<void> => {
    family.strayCount = Math.max(family.strayCount, await countOthers());
    if (family.isLaunched) sendTo(initPid() || childPid, SIGKILL);
    askForEnd();
  };
  return {
    ...described,
    containment: () => (hasNamespace ? 'PID_NAMESPACE' : of.uid !== undefined ? 'USER' : cgroup ? 'CGROUP' : 'MARKERS'),
    release: (own) => void channel.write(own),
    show: (codeName) => control.show(codeName),
    write: (bytes, done) => void channel.write(bytes, done),
    signal: (signal, scope) => (inside ? inside.signal(signal, scope) : signalFamily(family, leader(), signal, scope)),
    killGroup() {
      if (!family.isAlive) return;
      if (inside) return void endSandbox(inside);
      family.strayCount = Math.max(family.strayCount, straysOf(of, leader(), childPid));
      if (initPid() !== 0) sendTo(initPid(), SIGKILL);
      // Before there is anything else, the launcher is all there is, and what it makes ends with it.
      else if (leader() === 0) sendTo(childPid, SIGKILL);
      else {
        if (!cgroup) family.descendants = descendantsOf(leader());
        cgroup?.kill();
        sendTo(-leader(), SIGKILL);
      }
      // The launcher has to report the leader's end, which a stopped one cannot, nor any whose leader is traced by a process beyond the group.
      if (leader() !== 0) askForEnd();
    },
    async sweep() {
      family.isSwept = true;
      if (inside) family.strayCount = Math.max(family.strayCount, await inside.countOthers());
      else if (hasNamespace) family.strayCount = Math.max(family.strayCount, straysOf(of, leader(), childPid));
      const isAlone = hasNamespace || of.uid !== undefined;
      const isProven = childPid === 0 || !isAlone || (await proof());
      if (childPid !== 0 && !isAlone) await sweepUntilProven();
      if (!hasNamespace) family.strayCount += await sweepInstance(targetOf(of, family));
      cgroup?.remove();
      await outputs.ended();
      for (const stream of [...of.outputs, channel, of.control, of.inside]) stream?.destroy();
      if (of.uid !== undefined) giveBack(of.host, of.uid, isProven);
      rm(of.folder, { recursive: true, force: true }, () => undefined);
      return family.strayCount;
    },
  };
}

/** What can be read about the processes at any time. */
function describe({ host, uid, cgroup, child, folder }: Launched, family: Family, leader: () => number): Described {
  const isThere = (): boolean => family.isAlive && leader() !== 0;
  return {
    uid,
    isGroupLeft: () => leader() !== 0 && isGroupAlive(leader()),
    groupEnded: () => untilGroupEnds(leader(), () => family.isSwept),
    blockedByAll: () => (isThere() ? blockedByAllThreads(leader()) : 0n),
    reception: (signal, isBlocked) => receptionOf(leader(), signal, isBlocked, () => family.isAlive),
    status: () => (isThere() ? readStatus(leader()) : undefined),
    peakBytes: () => (isThere() ? (readStatus(leader())?.peakBytes ?? 0) : 0),
    residentBytes: () =>
      cgroup?.memoryBytes() ?? (cgroup?.pids() ?? familyOf(child.pid ?? 0)).reduce((sum, each) => sum + readResidentBytes(each), 0),
    excess: () => (cgroup?.ranOutOfMemory() ? {} : family.excess),
    filesBytes: async () => (await cgroup?.filesBytes()) ?? 0,
    temporary: hasPrivateTmp(host.launch) ? undefined : { folder, uid },
  };
}

/**
 * Signals cannot hit another program: the launcher keeps the leader's number, which is its group's too, until the end of everything. A stopped process
 * receives a signal but acts on it only once it runs again; SIGCONT is sent only to stopped processes, because it can be caught.
 */
function signalFamily(family: Family, leader: number, signal: number, scope: SignalScope): Delivery {
  const isOfGroup = scope === SignalScope.GROUP;
  if (leader === 0 || !(family.isAlive || (isOfGroup && isGroupAlive(leader)))) return Delivery.NO_PROCESS;
  if (family.isAlive && isStopped(readStat(leader))) sendTo(-leader, SIGCONT);
  else if (isOfGroup) continueStopped(leader);
  return sendTo(isOfGroup ? -leader : leader, signal);
}

/** Living processes of an instance beside its leader. */
function straysOf({ cgroup, inner, inside }: Launched, leader: number, childPid: number): number {
  if (inside) return 0; // what this host sees of a sandbox are no processes of its function
  const all = cgroup ? cgroup.pids() : familyOf(inner ? inner.initPid() : childPid).slice(inner ? 1 : 2);
  return all.filter((pid) => {
    const state = pid === leader || pid === inner?.initPid() ? 'Z' : readStat(pid)?.state;
    return state !== undefined && state !== 'Z' && state !== 'X';
  }).length;
}

function targetOf({ spec, uid, cgroup, becameId }: Launched, { leaderPid, leaderStart, descendants }: Family) {
  return { instanceId: spec.instanceId, becameId: becameId(), leaderPid, leaderStart, uid, cgroup, descendants };
}

/** An id whose last holder may still be there is not used until the next start of the agent. */
function giveBack({ uids, onUserLost }: DriverHost, uid: number, isProven: boolean): void {
  if (isProven) uids?.release(uid);
  else onUserLost(uid);
}

/** Reads what a function writes; `ended` waits for the rest once nothing can write any more, bounded in case another process holds an end open. */
function watchOutputs({ outputs, channel, events }: Launched): { ended(): Promise<void> } {
  const [stdout, stderr] = outputs;
  stdout?.on('data', (chunk: Buffer) => events.onOutput('stdout', chunk));
  stderr?.on('data', (chunk: Buffer) => events.onOutput('stderr', chunk));
  channel.on('data', (chunk: Buffer) => events.onChannel(chunk));
  const closed = [...outputs, channel].flatMap((stream) => {
    stream?.on('error', () => undefined); // EPIPE of a process that is gone: its exit event follows
    return stream ? [new Promise<void>((resolve) => stream.on('close', resolve))] : [];
  });
  return { ended: () => Promise.race([Promise.all(closed), pause(OUTPUT_WITHIN_MS)]).then(() => undefined) };
}

function sendTo(target: number, signal: number): Delivery {
  if (target === 0) return Delivery.NO_PROCESS; // the agent's own group
  try {
    process.kill(target, signal);
    return Delivery.DELIVERED;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' ? Delivery.DENIED : Delivery.NO_PROCESS;
  }
}
