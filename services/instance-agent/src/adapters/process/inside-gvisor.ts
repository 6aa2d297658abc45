import { readFileSync, statfsSync } from 'node:fs';
import { OUT_OF_SIGHT } from '../../domain/disposition.ts';
import type { InstanceProcess } from '../../ports.ts';
import { quietly, type Unbacked } from './controllers.ts';
import type { Inside } from './launch/inside.ts';
import { hasPrivateTmp } from './launch/launch.ts';
import type { Launched } from './launched-process.ts';
import { familyOf } from './proc-fs.ts';

/** What can be asked about an instance at any time. */
export type Described = Pick<
  InstanceProcess,
  | 'uid'
  | 'isGroupLeft'
  | 'groupEnded'
  | 'blockedByAll'
  | 'reception'
  | 'status'
  | 'residentBytes'
  | 'peakBytes'
  | 'ranOutOfMemory'
  | 'temporary'
  | 'filesBytes'
>;

/** What runsc takes for itself: two processes and a kernel for the function, its page tables and what it keeps of files. */
export const GVISOR_MB = 64;
const OWN_BYTES = GVISOR_MB * 1024 * 1024;

/**
 * The same of an instance in a gVisor sandbox. The host's kernel knows the sandbox as a whole, and none of the processes in it: what a signal would do
 * to one is not to be seen, and neither is whether it was taken.
 */
export function describeInside(of: Launched, inside: Inside, isAlive: () => boolean, initPid: () => number): Described {
  const { uid, cgroup, child, folder, host } = of;
  // What a function has is memory of a file, which the sandbox shares with the processes in it; what the sandbox has itself may grow with what it does.
  const residentBytes = (): number => {
    const { anonymous, shared } = cgroup?.unbackedBytes() ?? unbackedOf(familyOf(child.pid ?? 0));
    return Math.max(0, shared - temporaryBytes(initPid())) + Math.max(0, anonymous - OWN_BYTES);
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
    ranOutOfMemory: () => cgroup?.ranOutOfMemory() === true,
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

/** Memory of processes, each page divided by those who have it: several have what is one page of the sandbox's. */
function unbackedOf(pids: readonly number[]): Unbacked {
  let [anonymous, shared] = [0, 0];
  for (const pid of pids) {
    const text = quietly(() => readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')) ?? '';
    const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0) * 1024;
    anonymous += field('Pss_Anon');
    shared += field('Pss_Shmem');
  }
  return { anonymous, shared };
}
