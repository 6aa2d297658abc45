import { setTimeout as pause } from 'node:timers/promises';
import type { InstanceCgroup } from '../isolation/cgroups.ts';
import { endUser } from '../launch/launcher-program.ts';
import { ownersOfLeftovers } from './leftovers.ts';
import { ownProcesses } from './own-processes.ts';
import { listPids, type ProcStat, readEnvironment, readStat, readUid } from '../proc-fs.ts';

/** Names in the environment of every function process, by which the sweep finds them. */
export const INSTANCE_MARKER = 'EVENFALL_INSTANCE_ID';
export const AGENT_MARKER = 'EVENFALL_AGENT_ID';
/** Folder of the agent: of two clusters on one host each has an agent of the same name, and neither may touch what is the other's. */
export const HOME_MARKER = 'EVENFALL_AGENT_HOME';

export type SweepTarget = {
  readonly instanceId: string;
  /** The id it got later, if it was started before its instance was known: what it started carries this one. */
  readonly becameId?: string | undefined;
  /** The leader, which is gone; 0 for none. */
  readonly leaderPid: number;
  /** Its start: another process that has its number now is not of this instance, nor is that one's group. */
  readonly leaderStart: string;
  /** User that nothing else of this host runs as; undefined if there is none. */
  readonly uid: number | undefined;
  readonly cgroup: InstanceCgroup | undefined;
  /** Processes that were its descendants while it lived, by pid and start. */
  readonly descendants: ReadonlyMap<number, string>;
};

/** Kills whatever is left of an instance until nothing is seen; returns how many processes it killed. Bounded: about 2 s. */
export async function sweepInstance(target: SweepTarget): Promise<number> {
  const killed = new Set<string>();
  for (let round = 0, waitMs = 1; round < 50; round++, waitMs = Math.min(waitMs * 2, 50)) {
    const left = findStrays(target);
    if (left.length === 0) break;
    for (const stat of left) killed.add(`${stat.pid}/${stat.startTicks}`);
    target.cgroup?.kill();
    left.forEach(sendKill);
    await pause(waitMs);
  }
  return killed.size;
}

/** Kills everything an earlier session of this agent left behind, by its markers; returns how many processes it killed. */
export async function sweepAgent(agentId: string, home: string): Promise<number> {
  const killed = new Set<number>();
  const isOwn = ownProcesses();
  const marker = `${AGENT_MARKER}=${agentId}\0`;
  for (let round = 0; round < 50; round++) {
    const left = living().filter((stat) => {
      if (stat.pid === process.pid) return false;
      const environment = `${readEnvironment(stat.pid)}\0`;
      // Both markers: the operator may well have set the agent's id in the agent's own environment.
      const isMarked = environment.includes(marker) && environment.includes(`${INSTANCE_MARKER}=`);
      const isOfHome = !environment.includes(`${HOME_MARKER}=`) || environment.includes(`${HOME_MARKER}=${home}\0`);
      return isMarked && isOfHome && isOwn(stat.pid);
    });
    if (left.length === 0) break;
    for (const stat of left) {
      killed.add(stat.pid);
      sendKill(stat);
    }
    await pause(2);
  }
  return killed.size;
}

/**
 * Ends every process that runs under one of these user ids, which no other agent uses, by claim: each user by one call of its own, for what forks is
 * faster than a look. Answers how many processes there were, and the ids of which some stay: those too that a container on the same kernel uses, of
 * which only processes of this agent's namespaces are ended. What these users left in shared folders and System V objects goes too.
 */
export async function sweepUsers(
  launcher: string,
  { first, last }: { readonly first: number; readonly last: number },
): Promise<{ readonly count: number; readonly lost: ReadonlySet<number> }> {
  const users = new Map<number, ProcStat[]>();
  for (const stat of living()) {
    const uid = readUid(stat.pid);
    if (uid !== undefined && uid >= first && uid <= last) users.set(uid, [...(users.get(uid) ?? []), stat]);
  }
  // What was killed with its agent has left its files and objects, too.
  for (const uid of ownersOfLeftovers()) if (uid >= first && uid <= last && !users.has(uid)) users.set(uid, []);
  const lost = new Set<number>();
  const isOwn = ownProcesses();
  let count = 0;
  for (const [uid, stats] of users) {
    const own = stats.filter(({ pid }) => isOwn(pid));
    if (own.length < stats.filter(({ pid, startTicks }) => livingStat(pid)?.startTicks === startTicks).length) {
      own.forEach(sendKill);
      count += own.length;
      lost.add(uid);
      continue;
    }
    const found = await endUser(launcher, uid);
    if (found === undefined) lost.add(uid);
    else count += found;
  }
  return { count, lost };
}

/** The living descendants of a process, found by their parents. Only complete while it lives: orphans get another parent. */
export function descendantsOf(pid: number): Map<number, string> {
  const all = living();
  const found = new Map<number, string>();
  const family = new Set([pid]);
  for (let before = 0; before !== family.size;) {
    before = family.size;
    for (const stat of all) {
      if (!family.has(stat.parentPid) || family.has(stat.pid)) continue;
      family.add(stat.pid);
      found.set(stat.pid, stat.startTicks);
    }
  }
  return found;
}

function findStrays(target: SweepTarget): ProcStat[] {
  // Nothing leaves a cgroup by itself: where there is one, the other processes of the host need not be looked at (2 ms for a hundred).
  if (target.cgroup) return target.cgroup.pids().flatMap((pid) => livingStat(pid) ?? []);
  const markers = [target.instanceId, target.becameId].flatMap((id) => (id === undefined ? [] : [`${INSTANCE_MARKER}=${id}\0`]));
  const strays = new Set<number>();
  const all = living();
  const { leaderPid } = target;
  const isReused = all.some((stat) => stat.pid === leaderPid && stat.startTicks !== target.leaderStart);
  for (const stat of all) {
    const ours =
      (leaderPid !== 0 && !isReused && (stat.groupId === leaderPid || stat.sessionId === leaderPid)) ||
      target.descendants.get(stat.pid) === stat.startTicks ||
      (target.uid !== undefined && readUid(stat.pid) === target.uid) ||
      isMarked(stat.pid, markers);
    if (ours && stat.pid !== process.pid) strays.add(stat.pid);
  }
  for (let before = -1; before !== strays.size;) {
    before = strays.size;
    for (const stat of all) if (strays.has(stat.parentPid)) strays.add(stat.pid);
  }
  return all.filter((stat) => strays.has(stat.pid));
}

function isMarked(pid: number, markers: readonly string[]): boolean {
  const environment = `${readEnvironment(pid)}\0`;
  return markers.some((marker) => environment.includes(marker));
}

/** Every process but zombies. */
function living(): ProcStat[] {
  const stats: ProcStat[] = [];
  for (const pid of listPids()) {
    const stat = livingStat(pid);
    if (stat) stats.push(stat);
  }
  return stats;
}

function livingStat(pid: number): ProcStat | undefined {
  const stat = readStat(pid);
  return stat && stat.state !== 'Z' && stat.state !== 'X' ? stat : undefined;
}

/**
 * Kills a process, unless its number names another one by now. Between the look and the signal there is no turn of the event loop: the
 * process would have to end, be buried, and all other numbers of the host be used up within microseconds.
 */
function sendKill({ pid, startTicks }: ProcStat): void {
  if (readStat(pid)?.startTicks === startTicks) sendTo(pid, 'SIGKILL');
}

function sendTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has gone by itself
  }
}

export function isStopped(stat: ProcStat | undefined): boolean {
  return stat?.state === 'T' || stat?.state === 't';
}

/** Has those members of a group go on that are stopped. */
export function continueStopped(groupId: number): void {
  for (const stat of living()) if (stat.groupId === groupId && isStopped(stat)) sendTo(stat.pid, 'SIGCONT');
}
