import { spawnSync } from 'node:child_process';
import { chmodSync, closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { instanceBounds } from '@evenfall/function-model';
import type { Launch } from '../isolation/launch.ts';
import { launchArguments } from '../isolation/launch-arguments.ts';
import { releaseBytes } from '../launch/variables.ts';

const WITHIN_MS = 20_000;
const USUAL = instanceBounds();

export type TrialOptions = {
  /** Where instances have their folders, and code packages are. */
  readonly temporaryRoot: string;
  readonly codeRoot: string;
  readonly uid: number | undefined;
  /** Programs the function would have to be able to start, files it would have to be able to read. */
  readonly programs: readonly string[];
  readonly files: readonly string[];
};

/** Starts a process just as an instance's would be, and has it look around; explains why that does not work, undefined if it does. */
export function trialFault(launch: Launch, terms: TrialOptions): string | undefined {
  const folder = mkdtempSync(join(terms.temporaryRoot, 'trial-'));
  const codeDir = mkdtempSync(join(terms.codeRoot, 'trial-'));
  try {
    const line = join(folder, 'line');
    // The launcher outside a gVisor sandbox reads variables too: none.
    const empty = join(folder, 'empty');
    writeFileSync(empty, releaseBytes({}));
    writeFileSync(line, releaseBytes({ EVENFALL_TRIAL: 'yes' }));
    writeFileSync(join(codeDir, 'code'), 'code', { mode: 0o644 });
    mkdirSync(join(folder, 'work'));
    chmodSync(codeDir, 0o755); // as packages are, whatever the umask
    const checks = [
      ...terms.programs.map((path) => `test -x ${word(path)} || { echo "cannot start ${path}"; exit 9; }`),
      ...[...terms.files, join(codeDir, 'code')].map((path) => `test -r ${word(path)} || { echo "cannot read ${path}"; exit 9; }`),
      'test "$EVENFALL_TRIAL" = yes || { echo "variables do not arrive"; exit 9; }',
      ...(terms.uid === undefined
        ? []
        : [`test "$(id -u)/$(id -g)" = ${terms.uid}/${terms.uid} || { echo "its user is $(id -u)"; exit 9; }`]),
    ];
    // gVisor reads which devices there are, and the host's come and go while it does.
    const tried: Launch = launch.gvisor ? { ...launch, network: 'none' } : launch;
    const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
    const own = { uid: terms.uid, codeDir, folder: join(folder, 'work'), environment };
    const launchTerms = { ...own, keepsChannel: false, cgroups: [], ownCgroups: [], isOnce: true, handed: [4], ...USUAL };
    const [program = '', ...args] = launchArguments(tried, ['/bin/sh', '-c', checks.join('\n')], launchTerms);
    const channel = openSync(line, 'r');
    const outer = openSync(empty, 'r');
    try {
      const stdio = ['ignore', 'pipe', 'pipe', ...(launch.gvisor ? [outer, channel] : [channel])] as const;
      const options = { cwd: '/', env: environment, encoding: 'utf8', timeout: WITHIN_MS } as const;
      const done = spawnSync(program, args, { ...options, stdio: [...stdio] });
      if (done.status === 0) return undefined;
      return `${done.stdout}${done.stderr}`.trim() || (done.error?.message ?? `it ended with ${done.status ?? done.signal}`);
    } finally {
      closeSync(channel);
      closeSync(outer);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
    rmSync(codeDir, { recursive: true, force: true });
  }
}

function word(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
