import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The repository's root. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** One step of a command: what it is called, and the program that does it. */
export type Step = { readonly name: string; readonly command: readonly string[]; readonly env?: Readonly<Record<string, string>> };

/** Programs of node_modules come first, so that `node` is the one the repository brings. */
const PATH = `${ROOT}node_modules/.bin:${process.env['PATH'] ?? ''}`;

/** Runs the steps one after another, says how long each took, and stops at the first that fails. */
export function runSteps(steps: readonly Step[]): void {
  for (const { name, command, env } of steps) {
    const [program = '', ...args] = command;
    const began = performance.now();
    process.stdout.write(`\n── ${name}\n`);
    const { status, error } = spawnSync(program, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env, PATH } });
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    if (status !== 0) {
      process.stderr.write(`\n✗ ${name} failed after ${seconds} s${error ? `: ${error.message}` : ''}\n`);
      process.exit(1);
    }
    process.stdout.write(`✓ ${name} (${seconds} s)\n`);
  }
}

/** Where Node keeps what it has compiled: half of the processor time of a start is reading the same TypeScript again. */
export const COMPILED = { NODE_COMPILE_CACHE: `${ROOT}node_modules/.cache/compiled` } as const;

/** How Nx is called everywhere: no daemon, no cloud, plain output. */
export const NX_ENV = { NX_DAEMON: 'false', NX_NO_CLOUD: 'true', NX_TUI: 'false' } as const;
