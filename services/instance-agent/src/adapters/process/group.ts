import { setTimeout as pause } from 'node:timers/promises';
import { isPending } from '../../domain/disposition.ts';
import { listPids, readStat, readStatus, readThreadStatuses } from './proc-fs.ts';

const FIRST_LOOK_MS = 5;
const LONGEST_PAUSE_MS = 50;
/** When to look whether a signal has been taken, in milliseconds after it was sent. */
const LOOKS_MS = [1, 4, 15, 30];
/** PF_EXITING of the kernel: the process is dying and takes nothing any more. */
const EXITING = 0x4;

/** Whether any process of a group lives. Its number is not given to a stranger as long as one does. */
export function isGroupAlive(groupId: number): boolean {
  return listPids().some((pid) => {
    const stat = readStat(pid);
    return stat?.groupId === groupId && stat.state !== 'Z' && stat.state !== 'X';
  });
}

/** Resolves when no process of a group lives any more, or `isOver` says that nothing is to be looked at. */
export async function untilGroupEnds(groupId: number, isOver: () => boolean): Promise<void> {
  for (let waitMs = FIRST_LOOK_MS; !isOver() && isGroupAlive(groupId); waitMs = Math.min(waitMs * 2, LONGEST_PAUSE_MS)) await pause(waitMs);
}

/** Whether a process has taken a signal that was sent to it: it lives, and the signal is not pending. */
export async function receptionOf(pid: number, signal: number, isAlive: () => boolean): Promise<'TAKEN' | 'PENDING' | 'GONE'> {
  for (const waitMs of LOOKS_MS) {
    await pause(waitMs);
    const status = isAlive() ? readStatus(pid) : undefined;
    if (!status || isDying(pid)) return 'GONE';
    // Looked at once more: a process that is about to die of it has it no longer pending either.
    if (!isPending(status, signal) && waitMs !== LOOKS_MS[0]) return 'TAKEN';
  }
  return 'PENDING';
}

/** Signals that every thread of a process blocks. */
export function blockedByAllThreads(pid: number): bigint {
  let blocked = ~0n;
  for (const status of readThreadStatuses(pid)) blocked &= status.blocked;
  return blocked < 0n ? 0n : blocked;
}

function isDying(pid: number): boolean {
  const stat = readStat(pid);
  return !stat || stat.state === 'Z' || stat.state === 'X' || (stat.flags & EXITING) !== 0;
}
