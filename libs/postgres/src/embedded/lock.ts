import { OperatorError } from '@evenfall/errors';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/** Holds a data folder for this process. */
export type FolderLock = { release(): void };

/**
 * Takes a folder, or throws with the number of the process that has it. What a process that was killed left behind is recognised by its
 * number and start time and taken over.
 */
export function lockFolder(path: string): FolderLock {
  for (let tries = 0; tries < 3; tries++) {
    try {
      writeFileSync(path, describe(process.pid), { flag: 'wx', mode: 0o600 });
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      const holder = read(path);
      const pid = Number(holder.split(' ')[0]);
      if (pid > 0 && pid !== process.pid && describe(pid) === holder) {
        throw new OperatorError(
          `Another Evenfall (process ${pid}) uses the data folder ${dirname(dirname(path))}. Stop it, or set EVENFALL_DATA_DIR to another folder.`,
          { cause: error },
        );
      }
      rmSync(path, { force: true });
    }
  }
  throw new Error(`Could not take ${path}`);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // released between the two looks
  }
}

/** "pid starttime" of a live process, "pid" of a dead one: a number that was given out again does not match. */
function describe(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // One that was killed and not yet waited for is as dead as can be.
    return fields[0] === 'Z' || fields[0] === 'X' ? `${pid} dead` : `${pid} ${fields[19]}`;
  } catch {
    return `${pid} ${alive(pid) ? 'alive' : 'dead'}`;
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
