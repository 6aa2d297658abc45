import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { ROOT } from '../run.ts';
import type { Outcome } from './queue.ts';

/** Longer than any test file takes. */
const FILE_TIMEOUT_MS = 900_000;
/** Files of a project are run where the project is. */
const PROJECT = /^(?:libs|services|tools)\/[^/]+(?=\/src\/)/;

export type RunFileOptions = {
  readonly env: NodeJS.ProcessEnv;
  /** Ends the file when it is aborted; the run is rejected then. */
  readonly signal: AbortSignal;
  print(text: string): void;
};

/** Runs one test file in a process of its own, and prints all that it wrote when it has ended: files that run at the same time do not mix their lines. */
export async function runFile(file: string, { env, signal, print }: RunFileOptions): Promise<Outcome> {
  const began = performance.now();
  const options = ['--test', '--test-force-exit', `--test-timeout=${FILE_TIMEOUT_MS}`, '--test-reporter=spec'];
  const child = spawn(process.execPath, [...options, join(ROOT, file)], {
    cwd: join(ROOT, PROJECT.exec(file)?.[0] ?? ''),
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    signal,
  });
  const written: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => void written.push(chunk));
  const [status] = (await once(child, 'close')) as [number | null];
  const seconds = (performance.now() - began) / 1000;
  const passed = status === 0;
  print(`\n${Buffer.concat(written).toString('utf8').trimEnd()}\n${passed ? '✓' : '✗'} ${file} (${seconds.toFixed(1)} s)\n`);
  return { file, seconds, passed };
}
