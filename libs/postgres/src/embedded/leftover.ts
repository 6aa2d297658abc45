import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatorError } from '@evenfall/errors';

const ROUND_MS = 20;
const QUIT_AFTER_MS = 10_000;
const GIVE_UP_AFTER_MS = 20_000;

/**
 * Stops a server that outlived the process it belonged to, and takes its pid file away. The folder's lock is the caller's, so no other
 * process uses it. Postgres checks the number alone: one that is dead but not reaped (a container whose first process reaps none), or that
 * was given to another program since, would keep it from starting for ever.
 */
export async function stopLeftover(cluster: string): Promise<void> {
  const file = join(cluster, 'postmaster.pid');
  if (!existsSync(file)) return;
  const postmaster = Number(readFileSync(file, 'utf8').split('\n')[0]);
  const paths = [cluster, realpathSync(cluster)];
  const left = (): number[] => allPids().filter((pid) => belongsTo(pid, paths) === 'YES');
  for (let waitedMs = 0, pids = left(); pids.length > 0; waitedMs += ROUND_MS, pids = left()) {
    if (waitedMs === 0 && pids.includes(postmaster)) process.kill(postmaster, 'SIGINT');
    if (waitedMs === QUIT_AFTER_MS && pids.includes(postmaster)) process.kill(postmaster, 'SIGQUIT');
    if (waitedMs > GIVE_UP_AFTER_MS)
      throw new OperatorError(`A Postgres left from before (process ${pids.join(', ')}) does not stop. Stop it by hand.`);
    await sleep(ROUND_MS);
  }
  // Where another's processes cannot be looked into, the server's own judgement is the safer one.
  if (!allPids().some((pid) => belongsTo(pid, paths) === 'UNKNOWN')) rmSync(file, { force: true });
}

/** Whether a process is one of a cluster's server: all of them have it as their working folder, and the first names it in its arguments. */
function belongsTo(pid: number, paths: readonly string[]): 'YES' | 'NO' | 'UNKNOWN' {
  try {
    return paths.includes(readlinkSync(`/proc/${pid}/cwd`)) ? 'YES' : 'NO';
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM'))) return 'NO'; // dead, or gone
  }
  if (
    read(`/proc/${pid}/cmdline`)
      .split('\0')
      .some((word) => paths.includes(word))
  )
    return 'YES';
  return read(`/proc/${pid}/comm`).startsWith('postgres') ? 'UNKNOWN' : 'NO';
}

function allPids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 1);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // it has gone meanwhile
  }
}
