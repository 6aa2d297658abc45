import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { copyPostgresTemplate, eventually, hostPid, tempDir } from '@evenfall/testkit';
import { functionPidsCarrying } from './processes.ts';
import { createRestClient, type RestClient } from './rest-client.ts';

/** The whole platform in a process of its own, as a user starts it. */
export type Stack = {
  readonly http: string;
  readonly grpc: string;
  readonly metrics: string;
  /** The key of its APIs, as `id:secret`; empty if they are open. */
  readonly accessKey: string;
  /** What a caller sends who has it. */
  readonly headers: Readonly<Record<string, string>>;
  readonly pid: number;
  readonly dataDir: string;
  readonly rest: RestClient;
  /** Milliseconds from the start of the process to its ready line. */
  readonly readyMs: number;
  /** Resolves with the exit code, or the signal's name, once the main process has gone. */
  readonly exited: Promise<number | NodeJS.Signals | null>;
  /** What it wrote to stderr so far. */
  stderr(): string;
  /** Value of a metric without labels; 0 if it has not been counted yet. */
  metric(name: string): Promise<number>;
  postgresPid(): number;
  /** Has the process look for what it need not hold; only if it was started to be asked that. */
  collectGarbage(): void;
  /**
   * The longest that its event loop was held since it was asked last, in milliseconds of processor time; up to 5 too much. Only if it was started to be
   * asked that.
   */
  longestHoldMs(): Promise<number>;
  /** Processes of its functions that are alive. */
  functionPids(): number[];
  /** The number by which this host knows a function's process that calls itself `pid`. */
  functionPid(pid: number): number;
  /** Stops it in order; answers the exit code. */
  stop(): Promise<number | NodeJS.Signals | null>;
  /** Kills all of it at once: the main process, its Postgres, every function. */
  kill9(): Promise<void>;
  /** Kills the main process alone. */
  killMain9(): Promise<void>;
  /** Ends what is left of it, checks that nothing is, and takes its folder away if it made it. */
  dispose(): Promise<void>;
};

export type StackOptions = {
  /** Kept when the stack is disposed of; without one it has a temporary folder. */
  readonly dataDir?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Words before the command, e.g. to become another user. */
  readonly prefix?: readonly string[];
  readonly cwd?: string;
  /** Lets `collectGarbage` make the process release what it can. */
  readonly collectable?: boolean;
  /** Lets `longestHoldMs` be asked. */
  readonly watched?: boolean;
};

export const MAIN = fileURLToPath(new URL('../../services/all-in-one/src/main.ts', import.meta.url));
/** Collects garbage on a signal that nothing else uses. */
const COLLECTABLE = ['--expose-gc', '--import', 'data:text/javascript,process.on("SIGUSR2",()=>globalThis.gc())'];
/** Reports the longest block of the event loop on a signal that nothing else uses. */
const WATCHED = [
  '--import',
  'data:text/javascript,let most=0,last=process.threadCpuUsage();setInterval(()=>{const now=process.threadCpuUsage(last);most=Math.max(most,now.user+now.system);last=process.threadCpuUsage()},5).unref();process.on("SIGUSR2",()=>{process.stderr.write(`held ${most/1e3}\\n`);most=0})',
];
const READY_WITHIN_MS = 60_000;

/** The environment of a stack on free ports: nothing of the developer's own settings gets in. */
export function stackEnv(dataDir: string, env: Readonly<Record<string, string>> = {}): Record<string, string> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('EVENFALL_') && !name.startsWith('NODE_TEST'));
  return {
    ...(Object.fromEntries(inherited) as Record<string, string>), // entries of process.env that are there are text
    EVENFALL_DATA_DIR: dataDir,
    EVENFALL_HTTP_PORT: '0',
    EVENFALL_GRPC_PORT: '0',
    EVENFALL_METRICS_PORT: '0',
    EVENFALL_LOG_LEVEL: 'warn',
    EVENFALL_LOG_FORMAT: 'text',
    // Tests do not wait for what they left running.
    EVENFALL_AGENT_DRAIN_DEADLINE: '0s',
    ...ownUserIds(),
    ...env,
  };
}

/** Files that run at the same time have agents with ranges of their own: one range is enough for ten agents. */
export function ownUserIds(): Record<string, string> {
  const slot = process.env['EVENFALL_TEST_SLOT'];
  if (slot === undefined) return {};
  const first = 1_000_000 + Number(slot) * 10_000;
  return { EVENFALL_AGENT_UIDS: `${first}-${first + 9_999}` };
}

/** Starts a stack and waits until it is ready. */
export async function startStack(options: StackOptions = {}): Promise<Stack> {
  const own = options.dataDir === undefined ? tempDir('stack') : undefined;
  const dataDir = options.dataDir ?? own?.path ?? '';
  const words = [
    ...(options.prefix ?? []),
    process.execPath,
    ...(options.collectable ? COLLECTABLE : []),
    ...(options.watched ? WATCHED : []),
    MAIN,
  ];
  if (!options.prefix && options.env?.['EVENFALL_POSTGRES_URL'] === undefined) copyPostgresTemplate(join(dataDir, 'postgres'));
  const began = performance.now();
  const child = spawn(words[0] ?? process.execPath, words.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: stackEnv(dataDir, options.env),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString('utf8')).slice(-64 * 1024)));
  const exited = once(child, 'exit').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals | null);
  let addresses;
  try {
    addresses = await readyLine(child, exited, () => errors);
  } catch (error) {
    child.kill('SIGKILL');
    own?.remove();
    throw error;
  }
  const readyMs = performance.now() - began;
  const accessKey = options.env?.['EVENFALL_ACCESS_KEYS']?.split(',', 1)[0] ?? read(join(dataDir, 'access-key')).trim();
  const headers = headersOf(accessKey);
  const pid = child.pid ?? 0;
  const agentId = (): string => read(join(dataDir, 'agent', 'agent-id')).trim();
  const kill = (victim: number): void => {
    try {
      if (victim > 0) process.kill(victim, 'SIGKILL');
    } catch {
      // gone by itself
    }
  };
  const functionPids = (): number[] => (agentId() === '' ? [] : functionPidsCarrying(`EVENFALL_AGENT_ID=${agentId()}`));
  const postgresPid = (): number => Number(read(join(dataDir, 'postgres', 'cluster', 'postmaster.pid')).split('\n')[0]);
  const stack: Stack = {
    ...addresses,
    pid,
    dataDir,
    readyMs,
    exited,
    accessKey,
    headers,
    rest: createRestClient(addresses.http, headers),
    stderr: () => errors,
    async metric(name) {
      const text = await (await fetch(`${addresses.metrics}/metrics`)).text();
      return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'm').exec(text)?.[1] ?? 0);
    },
    postgresPid,
    collectGarbage: () => void child.kill('SIGUSR2'),
    async longestHoldMs() {
      const output = (): string[] => [...errors.matchAll(/^held (\S+)$/gm)].map(([, ms = '']) => ms);
      const before = output().length;
      child.kill('SIGUSR2');
      await eventually(() => output().length > before, 60_000);
      return Number(output().at(-1));
    },
    functionPids,
    functionPid: (pid) => hostPid(`EVENFALL_AGENT_ID=${agentId()}\0`, pid),
    async stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill9() {
      const victims = [pid, postgresPid(), ...functionPids()];
      victims.forEach(kill);
      functionPids().forEach(kill); // those that were being started
      await exited;
      await eventually(() => functionPids().length === 0 && !isRunning(victims[1] ?? 0), 10_000);
    },
    async killMain9() {
      kill(pid);
      await exited;
    },
    async dispose() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const late = setTimeout(() => child.kill('SIGKILL'), 40_000);
      await exited;
      clearTimeout(late);
      const server = postgresPid();
      try {
        await eventually(() => functionPids().length === 0 && !isRunning(server), 10_000);
      } finally {
        functionPids().forEach(kill);
        if (isRunning(server)) kill(server);
        own?.remove();
      }
    },
  };
  return stack;
}

function readyLine(
  child: ChildProcess,
  exited: Promise<unknown>,
  errors: () => string,
): Promise<{ readonly http: string; readonly grpc: string; readonly metrics: string }> {
  return new Promise((resolve, reject) => {
    let text = '';
    const late = setTimeout(() => reject(new Error(`Not ready within ${READY_WITHIN_MS} ms:\n${errors()}`)), READY_WITHIN_MS);
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const match = /^evenfall ready http=(\S+) grpc=(\S+) metrics=(\S+)$/m.exec(text);
      if (!match) return;
      clearTimeout(late);
      resolve({ http: match[1] ?? '', grpc: match[2] ?? '', metrics: match[3] ?? '' });
    });
    void exited.then((code) => {
      clearTimeout(late);
      reject(new Error(`The stack ended with ${String(code)} before it was ready:\n${errors()}`));
    });
  });
}

/** Runs a stack that is expected to refuse to start. */
export async function failingStack(
  env: Readonly<Record<string, string>>,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const dir = tempDir('refusing');
  try {
    const child = spawn(process.execPath, [MAIN], { stdio: ['ignore', 'pipe', 'pipe'], env: stackEnv(dir.path, env) });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    const late = setTimeout(() => child.kill('SIGKILL'), 30_000);
    const [code] = (await once(child, 'close')) as [number | null];
    clearTimeout(late);
    return { code, stdout, stderr };
  } finally {
    dir.remove();
  }
}

/** What a caller sends who has a key; nothing without one. */
export function headersOf(accessKey: string): Readonly<Record<string, string>> {
  return accessKey === '' ? {} : { authorization: `Bearer ${accessKey}` };
}

function isRunning(pid: number): boolean {
  return pid > 1 && /^State:\s+[^ZX]/m.test(read(`/proc/${pid}/status`));
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // not there, or not any more
  }
}
