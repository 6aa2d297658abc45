import { readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { quietly } from '../isolation/cgroup-controllers.ts';
import { listPids, readStat } from '../proc-fs.ts';

/** The first process of every PID namespace that an agent makes for an instance. */
const LAUNCHER = /^evenfall-launch/;
const MAX_ANCESTORS = 4096;

/**
 * Distinguishes processes of this PID namespace, and of those that its launchers have made, from those of containers on the same kernel: an agent in there may
 * have the same range of user ids and the same marks, and this one must not end what it runs. What it has found it keeps: one for each sweep.
 */
export function ownProcesses(): (pid: number) => boolean {
  const ownDepth = numbersOf(process.pid).length;
  const inits = new Map<string, boolean>();
  const isOfLauncher = (pid: number): boolean => {
    const space = spaceOf(pid);
    if (space === undefined) return false; // it has gone
    const known = inits.get(space);
    if (known !== undefined) return known;
    const init = listPids().find((each) => numbersOf(each).at(-1) === 1 && spaceOf(each) === space);
    const isOurs = init !== undefined && LAUNCHER.test(basename(quietly(() => readlinkSync(`/proc/${init}/exe`)) ?? ''));
    inits.set(space, isOurs);
    return isOurs;
  };
  return (pid) => {
    let at = pid;
    for (let steps = 0; at > 0 && steps < MAX_ANCESTORS; steps++) {
      const depth = numbersOf(at).length;
      if (depth <= ownDepth) return depth !== 0 && at === pid;
      // Deeper ones are of a sandbox or of a container: the outermost namespace shows of which.
      if (depth === ownDepth + 1) return isOfLauncher(at);
      at = readStat(at)?.parentPid ?? 0;
    }
    return false;
  };
}

/** The numbers of a process in this PID namespace and in those below that it is in; none once it has gone. */
function numbersOf(pid: number): number[] {
  const text = quietly(() => readFileSync(`/proc/${pid}/status`, 'latin1')) ?? '';
  return (/^NSpid:\t(.*)$/m.exec(text)?.[1] ?? '').split('\t').filter(Boolean).map(Number);
}

function spaceOf(pid: number): string | undefined {
  return quietly(() => readlinkSync(`/proc/${pid}/ns/pid`));
}
