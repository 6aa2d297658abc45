import { basename, dirname, join } from 'node:path';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { instanceBounds } from '@evenfall/function-model';
import type { Ability } from '../../../domain/ability.ts';
import { openControl } from '../launch/launcher-channel.ts';
import { hasPrivateTmp } from '../isolation/launch.ts';
import { launchArguments } from '../isolation/launch-arguments.ts';
import { releaseBytes } from '../launch/variables.ts';
import type { DriverHost } from '../launch/driver-host.ts';
import type { ReadySupport } from './ready-process.ts';

const WITHIN_MS = 20_000;
const NAME = 'ready-processes';

/** Finds out, by trying, whether this host can start processes before their package is known. */
export async function probeReady(
  host: DriverHost,
  perKind: number,
): Promise<{ readonly place: ReadySupport | undefined; readonly ability: Ability }> {
  const no = (detail: string) => ({ place: undefined, ability: { name: NAME, available: false, detail } });
  if (perKind === 0) return no('switched off: EVENFALL_AGENT_READY is 0');
  if (host.launch.boundary === 'BUBBLEWRAP') return no('behind bubblewrap a package cannot be put into the mounts of a process that runs');
  if (host.launch.gvisor) return no('a package cannot be put into a gVisor sandbox that runs');
  const codeRoot = join(dirname(host.temporaryRoot), 'code');
  const fault = hasPrivateTmp(host.launch) ? await showFault(host, codeRoot) : undefined; // else packages are in sight
  if (fault !== undefined) return no(`a package cannot be put into the mounts of a process that runs: ${fault}`);
  const detail = `${perKind} of each runtime and memory size used lately ${perKind === 1 ? 'is' : 'are'} kept ready`;
  return { place: { codeRoot }, ability: { name: NAME, available: true, detail } };
}

/** Starts a process just as a ready one, shows it a package, and has it look; explains why that does not work, undefined if it does. */
async function showFault({ launch, temporaryRoot, uids }: DriverHost, codeRoot: string): Promise<string | undefined> {
  const folder = mkdtempSync(join(temporaryRoot, 'trial-'));
  const codeDir = mkdtempSync(join(codeRoot, 'trial-'));
  const uid = uids?.claim();
  try {
    writeFileSync(join(codeDir, 'code'), 'code', { mode: 0o644 });
    mkdirSync(join(folder, 'work'));
    chmodSync(codeDir, 0o755); // as packages are, whatever the umask
    const look = 'read -r line <&3; test -r "$0/code" || { echo "it does not see the package"; exit 9; }';
    const terms = {
      uid,
      codeDir: codeRoot,
      folder: join(folder, 'work'),
      keepsChannel: true,
      cgroups: [],
      ownCgroups: [],
      isAhead: true,
      ...instanceBounds(),
    };
    const [program = '', ...args] = launchArguments(launch, ['/bin/sh', '-c', look, codeDir], terms);
    const looking = spawn(program, args, {
      cwd: '/',
      env: {},
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'],
      timeout: WITHIN_MS,
      killSignal: 'SIGKILL',
    });
    let output = '';
    for (const stream of [looking.stdout, looking.stderr]) stream?.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const channel = looking.stdio[3] as Duplex; // 'pipe' makes a socket pair
    channel.on('error', () => undefined); // its exit event follows
    const ended = new Promise<number | string | null>((resolve) => {
      const control = openControl(looking.stdio[4] as Duplex, {
        onStarted() {
          channel.write(releaseBytes({}));
          void control.show(basename(codeDir)).then((isShown) => (isShown ? channel.write('look\n') : resolve('mount refused')));
        },
        onExited: (code, signal) => setImmediate(() => resolve(code ?? signal)),
        onFault: resolve,
      });
      looking.on('error', (error) => resolve(error.message));
      looking.on('exit', () => setImmediate(() => resolve('the launcher ended')));
    });
    const how = await ended;
    for (const stream of looking.stdio) stream?.destroy(); // the launcher ends with its control
    if (looking.pid !== undefined && looking.exitCode === null && looking.signalCode === null) await once(looking, 'exit');
    return how === 0 ? undefined : output.trim() || `it ended with ${how}`;
  } finally {
    if (uid !== undefined) uids?.release(uid);
    rmSync(folder, { recursive: true, force: true });
    rmSync(codeDir, { recursive: true, force: true });
  }
}
