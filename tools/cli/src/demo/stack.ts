import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readKeyFile } from '@evenfall/access-key';
import { accessKeyFor, OWN_DATA_DIR } from '../access-key.ts';

/** A platform to show something on. */
export type Stack = {
  readonly url: string;
  readonly isOwn: boolean;
  /** Undefined if none could be found: the APIs may be open. */
  readonly accessKey: string | undefined;
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('../../../../services/all-in-one/src/main.ts', import.meta.url));
const DEFAULT_URL = 'http://127.0.0.1:8080';
const START_MS = 60_000;
const STOP_MS = 30_000;

/** The platform that runs: where it is said to be, or at the usual address; else one started for this. */
export async function findOrStartStack(env: NodeJS.ProcessEnv): Promise<Stack> {
  const seen = env['EVENFALL_URL'];
  if (seen) return runningStack(seen, env);
  if (await answers(DEFAULT_URL)) return runningStack(DEFAULT_URL, env);
  return startStack(env);
}

async function runningStack(url: string, env: NodeJS.ProcessEnv): Promise<Stack> {
  return { url, isOwn: false, accessKey: await accessKeyFor(url, { env, ownDataDir: OWN_DATA_DIR }), stop: async () => undefined };
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(1_000) });
    const body = (await response.json()) as { status?: unknown };
    return response.ok && body.status === 'ready';
  } catch {
    return false; // nothing there, or something else
  }
}

async function startStack(env: NodeJS.ProcessEnv): Promise<Stack> {
  const dataDir = await mkdtemp(join(tmpdir(), 'evenfall-demo-'));
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...env,
      EVENFALL_HOST: '127.0.0.1',
      EVENFALL_HTTP_PORT: '0',
      EVENFALL_GRPC_PORT: '0',
      EVENFALL_METRICS_PORT: '0',
      EVENFALL_DATA_DIR: dataDir,
      EVENFALL_AGENT_DATA_DIR: '',
      EVENFALL_ACCESS_KEYS: '',
      EVENFALL_OPEN: '',
      EVENFALL_POSTGRES_URL: '',
      EVENFALL_KAFKA_BROKERS: '',
    },
  });
  let ending: Promise<void> | undefined;
  const stop = (): Promise<void> => (ending ??= stopChild(child).finally(() => rm(dataDir, { recursive: true, force: true })));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop().finally(() => process.exit(1)));
  try {
    const url = await readyUrl(child);
    return { url, isOwn: true, accessKey: await readKeyFile(dataDir), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits for the ready line; what the platform said until then explains a failure. */
async function readyUrl(child: ChildProcess): Promise<string> {
  const output: string[] = [];
  child.stderr?.on('data', (data: Buffer) => {
    output.push(data.toString());
    if (output.length > 50) output.shift();
  });
  const ready = new Promise<string>((resolve) => {
    if (!child.stdout) return;
    createInterface({ input: child.stdout }).on('line', (line) => {
      const url = /^evenfall ready http=(\S+)/.exec(line)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
  const gone = once(child, 'exit').then(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, START_MS, undefined);
  });
  const url = await Promise.race([ready, gone, late]);
  clearTimeout(timer);
  if (url === undefined) throw new Error(`The platform did not start:\n${output.join('').trim()}`);
  return url;
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone;
  clearTimeout(late);
}
