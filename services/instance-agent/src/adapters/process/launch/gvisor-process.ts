import { readdirSync, readlinkSync, statfsSync, statSync } from 'node:fs';
import { OUT_OF_SIGHT } from '../../../domain/disposition.ts';
import { quietly } from '../isolation/cgroup-controllers.ts';
import type { GvisorChannel } from './gvisor-channel.ts';
import { hasPrivateTmp } from '../isolation/launch.ts';
import type { Described, Launched } from './launched.ts';
import { anonymousBytesOf, familyOf } from '../proc-fs.ts';

/** What runsc uses for itself: two processes and a kernel for the function, its page tables and what it keeps of files. */
export const GVISOR_MB = 64;
const OWN_BYTES = GVISOR_MB * 1024 * 1024;
/** What the sandbox calls the memory of its processes; other such files are for talking. */
const MEMORY_FILE = '/memfd:runsc-memory';
const BLOCK_BYTES = 512;

/**
 * The same of an instance in a gVisor sandbox. The host's kernel knows the sandbox as one, and none of the processes in it: neither what a signal would do
 * to one nor whether it was received can be seen.
 */
export function describeGvisor(of: Launched, inside: GvisorChannel, isAlive: () => boolean, initPid: () => number): Described {
  const { uid, cgroup, child, folder, host } = of;
  let files: readonly string[] = [];
  // What a function has is memory of a file, which the sandbox maps into its processes anew again and again: what they have mapped proves nothing.
  const residentBytes = (): number => {
    const counted = cgroup?.memoryBytes();
    const pids = files.length === 0 || counted === undefined ? familyOf(child.pid ?? 0) : [];
    if (files.length === 0) files = memoryFilesOf(pids);
    const own = counted ?? pids.reduce((sum, pid) => sum + anonymousBytesOf(pid), 0);
    return heldBy(files) + Math.max(0, own - OWN_BYTES);
  };
  return {
    uid,
    isGroupLeft: () => inside.isGroupLeft(),
    groupEnded: () => inside.groupEnded,
    blockedByAll: () => 0n,
    reception: () => Promise.resolve('GONE'),
    status: () => (isAlive() ? OUT_OF_SIGHT : undefined),
    residentBytes,
    peakBytes: () => (isAlive() ? residentBytes() : 0),
    excess: () => (cgroup?.ranOutOfMemory() ? {} : undefined),
    filesBytes: () => Promise.resolve(isAlive() ? temporaryBytes(initPid()) + OWN_BYTES : 0),
    temporary: hasPrivateTmp(host.launch) ? undefined : { folder, uid },
  };
}

/** What temporary files hold of the room in memory that `/tmp`, `/var/tmp` and `/dev/shm` share. It cannot be looked into from a host that may not see it. */
function temporaryBytes(initPid: number): number {
  try {
    const { blocks, bfree, bsize } = statfsSync(`/proc/${initPid}/root/tmp`);
    return (blocks - bfree) * bsize;
  } catch {
    return 0; // it has gone
  }
}

/** The memory of a sandbox's processes, by a descriptor of the sandbox. */
function memoryFilesOf(pids: readonly number[]): string[] {
  for (const pid of pids) {
    const fds = quietly(() => readdirSync(`/proc/${pid}/fd`)) ?? [];
    const found = fds.map((fd) => `/proc/${pid}/fd/${fd}`).filter((path) => quietly(() => readlinkSync(path))?.startsWith(MEMORY_FILE));
    if (found.length > 0) return found;
  }
  return [];
}

function heldBy(files: readonly string[]): number {
  const held = new Map<number, number>();
  for (const path of files) {
    const found = quietly(() => statSync(path));
    if (found) held.set(found.ino, found.blocks * BLOCK_BYTES);
  }
  return [...held.values()].reduce((sum, bytes) => sum + bytes, 0);
}
