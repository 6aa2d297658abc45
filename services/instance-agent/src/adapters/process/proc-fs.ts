import { readdirSync, readFileSync, statSync } from 'node:fs';
import { parseProcStatus, type ProcStatus } from '../../domain/disposition.ts';

/** What `/proc/PID/stat` reports of a process (proc_pid_stat(5)). */
export type ProcStat = {
  readonly pid: number;
  readonly state: string;
  readonly parentPid: number;
  readonly groupId: number;
  readonly sessionId: number;
  /** The kernel's PF_… bits. */
  readonly flags: number;
  /** Clock ticks since boot: with the pid, it names a process for ever. */
  readonly startTicks: string;
};

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined; // it is gone, or not ours to look at
  }
}

export function readStat(pid: number): ProcStat | undefined {
  const text = read(`/proc/${pid}/stat`);
  if (!text) return undefined;
  // The name is in parentheses and may hold spaces and parentheses itself: fields are counted from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return {
    pid,
    state: stateOf(fields[0] ?? '', Number(fields[17])),
    parentPid: Number(fields[1]),
    groupId: Number(fields[2]),
    sessionId: Number(fields[3]),
    flags: Number(fields[6]),
    startTicks: fields[19] ?? '',
  };
}

/** A process whose first thread has ended is called a zombie by the kernel, too, while its other threads go on: it sleeps, as far as this can be known. */
function stateOf(state: string, threads: number): string {
  return state === 'Z' && threads > 1 ? 'S' : state;
}

export function readStatus(pid: number): ProcStatus | undefined {
  const text = read(`/proc/${pid}/status`);
  return text ? parseProcStatus(text) : undefined;
}

/** The same for each of its threads; at most so many as may be. */
export function readThreadStatuses(pid: number): ProcStatus[] {
  const threads = listNumbers(`/proc/${pid}/task`).slice(0, MAX_THREADS);
  return threads.flatMap((thread) => {
    const text = read(`/proc/${pid}/task/${thread}/status`);
    return text ? [parseProcStatus(text)] : [];
  });
}

/** Its living children; complete only while no process forks. Cheap: no other process is looked at. */
export function childrenOf(pid: number): number[] {
  return listNumbers(`/proc/${pid}/task`).flatMap((task) =>
    (read(`/proc/${pid}/task/${task}/children`) ?? '').split(' ').filter(Boolean).map(Number),
  );
}

/** Itself and all that descends from it by living parents. */
export function familyOf(pid: number): number[] {
  const family = [pid];
  for (let at = 0; at < family.length && family.length < MAX_FAMILY; at++) family.push(...childrenOf(family[at] ?? 0));
  return family;
}

/** The user a process runs as; undefined once it has gone. */
export function readUid(pid: number): number | undefined {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid;
}

const MAX_FAMILY = 4096;
const MAX_THREADS = 1024;
const PAGE_BYTES = 4096;

/** Resident bytes now; 0 if it is gone. One short read, cheaper than the whole status. */
export function readResidentBytes(pid: number): number {
  return Number(read(`/proc/${pid}/statm`)?.split(' ')[1] ?? 0) * PAGE_BYTES;
}

/** The same without what it has of files. */
export function anonymousBytesOf(pid: number): number {
  const [, resident = 0, shared = 0] = (read(`/proc/${pid}/statm`) ?? '').split(' ').map(Number);
  return (resident - shared) * PAGE_BYTES;
}

/** The environment it was started with, as `\0`-separated text; empty if it cannot be read. */
export function readEnvironment(pid: number): string {
  return read(`/proc/${pid}/environ`) ?? '';
}

export function listPids(): number[] {
  return listNumbers('/proc');
}

function listNumbers(folder: string): number[] {
  try {
    return readdirSync(folder)
      .filter((name) => name >= '0' && name <= '9999999999' && /^\d+$/.test(name))
      .map(Number);
  } catch {
    return []; // it is gone
  }
}
