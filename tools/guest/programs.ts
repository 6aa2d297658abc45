import { spawnSync } from 'node:child_process';

/** Program → package of Debian. */
const PROGRAMS = { debootstrap: 'debootstrap', 'qemu-system-x86_64': 'qemu-system-x86', mke2fs: 'e2fsprogs' } as const;

/** Ends the command, with what to install, unless everything is there. With CI=true as root it is installed. */
export function requirePrograms(): void {
  if (process.getuid?.() !== 0) fail('Making a root file system takes root.');
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isThere(program));
  if (missing.length === 0) return;
  const packages = [...missing.map(([, name]) => name), 'seabios'];
  const command = ['apt-get', 'install', '--yes', '--no-install-recommends', ...packages];
  if (process.env['CI'] !== 'true') fail(`Programs are missing: ${command.join(' ')}`);
  run(command);
}

/** Runs a program to its end; fails with what it said. */
export function run(command: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const [program = '', ...args] = command;
  const { status, error, stdout, stderr } = spawnSync(program, args, {
    encoding: 'utf8',
    env: { ...process.env, ...env },
    maxBuffer: 256 * 1024 * 1024,
  });
  if (status !== 0) fail(`${command.slice(0, 4).join(' ')} failed: ${error?.message ?? `${stdout.slice(-2_000)}${stderr.slice(-2_000)}`}`);
  return stdout;
}

export function fail(why: string): never {
  process.stderr.write(`✗ ${why}\n`);
  process.exit(1);
}

function isThere(program: string): boolean {
  return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}
