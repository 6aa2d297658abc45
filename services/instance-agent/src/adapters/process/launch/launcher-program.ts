import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { OperatorError } from '@evenfall/errors';

/** The program that starts every function; native/README.md describes it. */
export function findLauncher(arch: string = process.arch): string {
  const path = fileURLToPath(new URL(`../../../../native/bin/evenfall-launch-${arch}`, import.meta.url));
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    throw new OperatorError(
      `There is no launcher of functions for this processor (${arch}) at ${path}: \`npm run native\` builds those of x64 and arm64`,
    );
  }
}

/**
 * Kills every process of a user and looks until none is left: what a launcher does at the end of its function, for one that has not lived to do
 * it. Answers how many there were; undefined if some are left.
 */
export function endUser(launcher: string, uid: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const child = spawn(launcher, ['--end-user', String(uid)], { stdio: ['ignore', 'pipe', 'ignore'], env: {}, cwd: '/' });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
    child.on('error', () => resolve(undefined));
    child.on('close', (code) => resolve(code === 0 ? Number(output) : undefined));
  });
}
