import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import type { Ability } from '../../domain/ability.ts';
import { type CodeSlots, openCodeSlots } from './code-slots.ts';
import { findProgram } from './find-program.ts';
import { hasPrivateTmp, launchWords } from './launcher.ts';
import type { DriverHost } from './process-driver.ts';
import type { ReadyPlace } from './ready-process.ts';
import { releaseLine } from './stage.ts';

const SYSTEM_PATH = '/usr/sbin:/usr/bin:/sbin:/bin';
const WITHIN_MS = 20_000;
const NAME = 'ready-processes';

/** Finds out, by trying, whether this host can start processes before their package is known, and makes the place for it. */
export async function openReadyPlace(
  host: DriverHost,
  perKind: number,
): Promise<{ readonly place: ReadyPlace | undefined; readonly ability: Ability }> {
  const no = (detail: string) => ({ place: undefined, ability: { name: NAME, available: false, detail } });
  if (perKind === 0) return no('switched off: EVENFALL_AGENT_READY is 0');
  const codeRoot = join(dirname(host.temporaryRoot), 'code');
  const yes = (slots: CodeSlots | undefined) => {
    const detail = `${perKind} of each runtime and memory size used lately ${perKind === 1 ? 'is' : 'are'} kept ready`;
    return { place: { codeRoot, slots }, ability: { name: NAME, available: true, detail } };
  };
  if (!hasPrivateTmp(host.launch)) return yes(undefined); // packages are in sight
  if (process.getuid?.() !== 0) return no('behind bubblewrap only root can put a package into the mounts of a process that runs');
  const find = (name: string): string | undefined => findProgram(SYSTEM_PATH, name);
  const [nsenter, umount, unshare, mount] = [find('nsenter'), find('umount'), find('unshare'), find('mount')];
  if (!nsenter || !umount || !unshare || !mount) return no('nsenter, unshare, mount and umount (util-linux) are not installed');
  const { setpriv, parentDeath } = host.launch;
  const dyingWithAgent = setpriv && parentDeath ? [setpriv, '--pdeathsig', 'KILL', '--'] : [];
  const slots = await openCodeSlots(host.temporaryRoot, codeRoot, { nsenter, umount, unshare, mount, dyingWithAgent });
  if (typeof slots === 'string') return no(slots);
  const fault = await slotFault(host, slots);
  if (fault === undefined) return yes(slots);
  slots.close();
  return no(`a package cannot be put into the mounts of a process that runs: ${fault}`);
}

/** Starts a process in a slot just as a ready one, shows it a package, and has it look; in words why that does not work, undefined if it does. */
async function slotFault({ launch, temporaryRoot, uids }: DriverHost, slots: CodeSlots): Promise<string | undefined> {
  const name = 'trial';
  const folder = mkdtempSync(join(temporaryRoot, 'trial-'));
  const codeDir = mkdtempSync(join(slots.codeRoot, 'trial-'));
  const uid = uids?.take();
  let child: ChildProcess | undefined;
  try {
    writeFileSync(join(codeDir, 'code'), 'code', { mode: 0o644 });
    mkdirSync(join(folder, 'work'));
    slots.make(name);
    chmodSync(codeDir, 0o755); // as packages are, whatever the umask
    const look = 'echo up; read -r line <&3; test -r "$0/code" || { echo "it does not see the package"; exit 9; }';
    const terms = { uid, codeDir: slots.codeRoot, folder: join(folder, 'work'), keepsChannel: true, slot: { slots, name } };
    const [program = '', ...args] = launchWords(launch, ['/bin/sh', '-c', look, codeDir], terms);
    const looking = spawn(program, args, {
      cwd: '/',
      env: { PATH: SYSTEM_PATH },
      stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe'], // bubblewrap writes to the last
      timeout: WITHIN_MS,
      killSignal: 'SIGKILL',
    });
    child = looking;
    let said = '';
    const up = new Promise<void>((resolve) => looking.stdout?.once('data', () => resolve()));
    for (const stream of [looking.stdout, looking.stderr]) stream?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    const channel = looking.stdio[3] as Duplex; // 'pipe' makes a socket pair
    channel.on('error', () => undefined); // its exit is the news
    const ended = new Promise<number | string | null>((resolve) => {
      looking.on('error', (error) => resolve(error.message));
      // Not its close: what is left of it may hold its pipes.
      looking.on('exit', (code, signal) => setImmediate(() => resolve(code ?? signal)));
    });
    channel.write(releaseLine({}));
    await Promise.race([up, ended]);
    const shown = await slots.show(name, basename(codeDir));
    channel.write('look\n');
    const how = await ended;
    if (how === 0 && shown) return undefined;
    return said.replace(/^up\n/, '').trim() || (shown ? `it ended with ${how}` : 'mount refused');
  } finally {
    for (const stream of child?.stdio ?? []) stream?.destroy();
    slots.remove(name, basename(codeDir));
    if (uid !== undefined) uids?.release(uid);
    rmSync(folder, { recursive: true, force: true });
    rmSync(codeDir, { recursive: true, force: true });
  }
}
