import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const CLI = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));

export type CliOutput = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** Runs the command as a process of its own, with the key of a platform. */
export function runCli(
  { http, accessKey }: { readonly http: string; readonly accessKey: string },
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CliOutput> {
  return runProgram([CLI, '--url', http, ...args], { NO_COLOR: '1', EVENFALL_ACCESS_KEY: accessKey, ...env });
}

/** Runs a program of the repository with this Node. */
export async function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  withinMs = 60_000,
): Promise<CliOutput> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('EVENFALL_') && !name.startsWith('NODE_TEST'));
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...Object.fromEntries(inherited), ...env } });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const late = setTimeout(() => child.kill('SIGTERM'), withinMs);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(late);
  return { code, stdout, stderr };
}
