import { spawnSync } from 'node:child_process';
import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { coversFor, GVISOR_ROOM } from './mount-steps.ts';
import type { Gvisor, Launch, LaunchOptions } from './launch.ts';

/** `--network=host` is that of the process that starts it: the instance's own. What one version has and another lacks is set where it is known. */
const OPTIONS = ['--rootless', '--network=host', '--ignore-cgroups'];
/** Newer versions lay a writable layer over the root by default. */
const OPTIONS_IF_KNOWN = ['--overlay2=none', '--host-uds=none', '--host-fifo=none'];
const LOOK_WITHIN_MS = 10_000;
const CAP_SYS_PTRACE = 1n << 19n;
/**
 * What this host counts for one task in a sandbox, and for runsc itself. A sandbox that traces its processes has for each of them as many threads as
 * have served it: with 256 that fork all the time it comes to this bound, and ends.
 */
const TASKS = { byTask: 8, own: 512 };
const INIT_RIGHTS = ['CAP_SETUID', 'CAP_SETGID', 'CAP_KILL'];
const WRITABLE = ['/tmp', '/var/tmp', '/dev/shm'];

/** The options of this host's runsc; or why it cannot be used. */
export function examineGvisor(runsc: string): Gvisor | string {
  if (process.getuid?.() === 0 && !mayTrace()) return 'the agent may not look into it to count its memory (CAP_SYS_PTRACE)';
  const { stdout, stderr, error } = spawnSync(runsc, ['flags'], { encoding: 'utf8', env: {}, cwd: '/', timeout: LOOK_WITHIN_MS });
  if (error) return `${runsc} cannot be started: ${error.message}`;
  const known = new Set(`${stdout}${stderr}`.split('\n').map((line) => /^\s+-([a-z0-9-]+)/.exec(line)?.[1]));
  const nameOf = (option: string): string => option.slice(2).split('=')[0] ?? '';
  const lacking = OPTIONS.find((option) => !known.has(nameOf(option)));
  if (lacking !== undefined) return `${runsc} is too old, or something else: it does not know ${lacking}`;
  return { program: realpathSync(runsc), options: [...OPTIONS, ...OPTIONS_IF_KNOWN.filter((option) => known.has(nameOf(option)))] };
}

/** Whether this process has the right to look at those of other users. */
function mayTrace(): boolean {
  const rights = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return (BigInt(`0x${rights}`) & CAP_SYS_PTRACE) !== 0n;
}

/** The command that starts a sandbox, within all namespaces of the launcher. */
export function gvisorArguments({ program, options }: Gvisor): string[] {
  return [program, '--root', GVISOR_ROOM, ...options, 'run', '--bundle', GVISOR_ROOM, 'instance'];
}

/**
 * Writes what the sandbox is made of (an OCI runtime configuration) into the instance's folder, and answers its path. Its root is what the launcher's
 * mounts show: read-only, and covered as for every function.
 */
export function writeGvisorConfig(launch: Launch, words: readonly string[], terms: LaunchOptions): string {
  const covered = new Set(coversFor(launch, terms).map(({ path }) => path));
  const shown = WRITABLE.filter((path) => covered.has(path) || path === '/dev/shm');
  const config = {
    ociVersion: '1.0.0',
    hostname: 'evenfall',
    process: {
      user: { uid: 0, gid: 0 },
      args: words,
      env: Object.entries(terms.environment ?? {}).map(([name, value]) => `${name}=${value}`),
      cwd: '/',
      // Of its init, in a kernel of its own: to set the user of the function, and to signal it. The function has none.
      capabilities: { effective: INIT_RIGHTS, permitted: INIT_RIGHTS, bounding: INIT_RIGHTS },
      noNewPrivileges: true,
    },
    // Not `readonly`, for runsc would try to remount what the kernel has locked: the mounts beneath are read-only.
    root: { path: '/', readonly: false },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['ro'] },
      ...shown.map((path) => ({ destination: path, type: 'bind', source: path, options: ['rbind', 'rw'] })),
      { destination: GVISOR_ROOM, type: 'tmpfs', source: 'tmpfs', options: ['ro', 'size=4096', 'mode=0755'] },
    ],
    linux: { namespaces: ['pid', 'ipc', 'uts', 'mount'].map((type) => ({ type })) },
  };
  const path = join(terms.folder, 'config.json');
  writeFileSync(path, JSON.stringify(config), { mode: 0o644 });
  return path;
}

/**
 * Tasks of this host that a function with so many of its own may use. The sandbox's kernel holds it to those; should it not, the sandbox ends here.
 */
export function hostTasksOf(maxProcesses: number): number {
  return maxProcesses * TASKS.byTask + TASKS.own;
}
