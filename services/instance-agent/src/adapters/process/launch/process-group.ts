import { setTimeout as pause } from 'node:timers/promises';
import { isPending } from '../../../domain/disposition.ts';
import { listPids, readStat, readStatus, readThreadStatuses } from '../proc-fs.ts';

const FIRST_LOOK_MS = 5;
const LONGEST_PAUSE_MS = 50;
/** Pauses before each look whether a signal has been received, in milliseconds: close together at first, because what receives it may exit at once. */
const LOOKS_MS = [0, 1, 1, 1, 2, 2, 3, 5, 10, 25];
/** PF_EXITING of the kernel: the process is dying and receives nothing any more. */
const EXITING = 0x4;

/** Whether any process of a group lives. The kernel does not reuse its number as long as one does. */
export function isGroupAlive(groupId: number): boolean {
  return listPids().some((pid) => {
    const stat = readStat(pid);
    return stat?.groupId === groupId && stat.state !== 'Z' && stat.state !== 'X';
  });
}

/** Resolves when no process of a group lives any more, or `isOver` says that looking is over. */
export async function untilGroupEnds(groupId: number, isOver: () => boolean): Promise<void> {
  for (let waitMs = FIRST_LOOK_MS; !isOver() && isGroupAlive(groupId); waitMs = Math.min(waitMs * 2, LONGEST_PAUSE_MS)) await pause(waitMs);
}

/**
 * Whether a process has received a signal that was sent to it: it lives, and the signal is not pending. One that is blocked is pending until something
 * receives it; one that is not may be gone from there because the process is about to die of it, and is looked at again.
 */
export async function receptionOf(
  pid: number,
  signal: number,
  isBlocked: boolean,
  isAlive: () => boolean,
): Promise<'TAKEN' | 'PENDING' | 'GONE'> {
  let lookCount = 0;
  let waitedMs = 0;
  for (const waitMs of LOOKS_MS) {
    if (waitMs > 0) await pause(waitMs);
    waitedMs += waitMs;
    const status = isAlive() ? readStatus(pid) : undefined;
    if (!status || isDying(pid)) return 'GONE';
    if (isPending(status, signal)) continue;
    lookCount++;
    if (isBlocked || (lookCount > 1 && waitedMs >= SURE_MS)) return 'TAKEN';
  }
  return 'PENDING';
}

/** After so many milliseconds a process that was to die of a signal is dying. */
const SURE_MS = 4;

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
