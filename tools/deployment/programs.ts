import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Runs a program and returns what it writes to stdout; throws with what it said if it fails. */
export function run(
  command: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string; readonly input?: string } = {},
): string {
  const [program = '', ...args] = command;
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    ...options,
    env: options.env ?? process.env,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`${command.slice(0, 6).join(' ')} failed: ${error?.message ?? `${stdout}${stderr}`.slice(-6_000)}`);
  return stdout;
}

/** The same, without blocking. */
export async function runBeside(
  command: readonly string[],
  options: { readonly env?: NodeJS.ProcessEnv; readonly cwd?: string } = {},
): Promise<string> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { ...options, env: options.env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => void (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => void (stderr += chunk.toString('utf8')));
  const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  if (code !== 0) throw new Error(`${command.slice(0, 6).join(' ')} failed: ${`${stdout}${stderr}`.slice(-6_000)}`);
  return stdout;
}

export function isThere(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

/** Whether Debian's packages can be installed here. */
export function isDebian(): boolean {
  return existsSync('/etc/debian_version') && isThere('apt-get');
}

/** Installs packages of Debian whose programs are missing. */
export function installPrograms(programs: Readonly<Record<string, string>>): void {
  const missing = Object.entries(programs).filter(([program]) => !isThere(program));
  if (missing.length === 0) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  print(`installing ${missing.map(([, name]) => name).join(', ')}`);
  run(['apt-get', 'update'], { env });
  run(['apt-get', 'install', '--yes', '--no-install-recommends', ...new Set(missing.map(([, name]) => name))], { env });
}

const began = performance.now();

/** One line of progress, with the seconds since the start. */
export function print(text: string): void {
  process.stdout.write(`${((performance.now() - began) / 1_000).toFixed(0).padStart(4)} s  ${text}\n`);
}
