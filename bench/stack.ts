import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readKeyFile } from '@evenfall/access-key';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { OperatorServiceService } from '@evenfall/contracts/v1/operator_service';
import { createPool, type Sql } from '@evenfall/postgres';
import { type ClientOf, grpcClient } from '@evenfall/rpc';
import { tempDir } from '@evenfall/testkit';
import { durationOfMs } from '@evenfall/time';
import { zipOf } from './zip.ts';

export type CpuSeconds = { readonly platform: number; readonly postgres: number; readonly functions: number };

/** A stack of its own process, as a user would start it, with clients of its gRPC API. */
export type Stack = {
  readonly events: ClientOf<EventServiceService>;
  readonly functions: ClientOf<FunctionServiceService>;
  readonly operators: ClientOf<OperatorServiceService>;
  /** Address of its gRPC API. */
  readonly address: string;
  /** What a caller sends. */
  readonly headers: Readonly<Record<string, string>>;
  readonly pid: number;
  deploy(name: string, runtime: 'nodejs' | 'python3', files: Readonly<Record<string, string>>): Promise<void>;
  /** A pool on its database; to be ended before the stack is stopped. */
  sql(max?: number): Sql;
  deployEcho(name: string, runtime: 'nodejs' | 'python3'): Promise<void>;
  /** What its metrics port says. */
  metrics(): Promise<string>;
  /** Megabytes the stack's process holds. */
  residentMb(): number;
  /** Seconds of processor time used so far: by the platform's process, by Postgres, by the functions that are alive. */
  cpuSeconds(): CpuSeconds;
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('../services/all-in-one/src/main.ts', import.meta.url));
const ECHO = {
  nodejs: { 'index.js': 'exports.handler = async (event) => event;\n' },
  python3: { 'index.py': 'def handler(event, context):\n    return event\n' },
} as const;

/** With data of its own, or in a folder that may have been used before and is left as it is. */
export async function startStack(dataDir?: string, settings: Readonly<Record<string, string>> = {}): Promise<Stack> {
  const dir = dataDir === undefined ? tempDir('bench') : { path: resolve(dataDir), remove: () => undefined };
  const child = spawn(process.execPath, ['--max-semi-space-size=16', ...(process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []), MAIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      EVENFALL_AGENT_DRAIN_DEADLINE: '0s',
      ...process.env,
      EVENFALL_DATA_DIR: dir.path,
      EVENFALL_AGENT_DATA_DIR: '',
      EVENFALL_HTTP_PORT: '0',
      EVENFALL_GRPC_PORT: '0',
      EVENFALL_METRICS_PORT: '0',
      EVENFALL_LOG_LEVEL: 'warn',
      EVENFALL_LOG_FORMAT: 'text',
      EVENFALL_ACCESS_KEYS: '',
      ...settings,
      EVENFALL_AGENT_SANDBOX: 'process', // what a function writes has to be seen here
    },
  });
  const { address, metricsAddress } = await readyAddresses(child);
  const accessKey = (await readKeyFile(dir.path)) ?? '';
  const headers = { authorization: `Bearer ${accessKey}` };
  const events = grpcClient(EventServiceService, address, { headers });
  const functions = grpcClient(FunctionServiceService, address, { headers });
  const operators = grpcClient(OperatorServiceService, address, { headers });
  const pid = child.pid ?? 0;
  const deploy: Stack['deploy'] = async (name, runtime, files) => {
    const terms = { timeout: durationOfMs(120_000), memoryMb: 128 };
    const fn = { ...FunctionMessage.create({ namespace: 'default', name, runtime, handler: 'index.handler', ...terms }) };
    await functions.client.createFunction({ function: fn, codeZip: await zipOf(files) });
  };
  return {
    events: events.client,
    functions: functions.client,
    operators: operators.client,
    address,
    headers,
    pid,
    sql: (max) => sqlOf(dir.path, max),
    deploy,
    deployEcho: (name, runtime) => deploy(name, runtime, ECHO[runtime]),
    metrics: async () => (await fetch(`${metricsAddress}/metrics`)).text(),
    residentMb: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    cpuSeconds: () => cpuSecondsOf(pid),
    async stop() {
      events.close();
      functions.close();
      operators.close();
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
      dir.remove();
    },
  };
}

function sqlOf(dataDir: string, max = 2): Sql {
  const dir = join(dataDir, 'postgres');
  const socketDir = readFileSync(join(dir, 'cluster', 'postmaster.pid'), 'utf8').split('\n')[4] ?? '';
  const password = readFileSync(join(dir, 'password'), 'utf8').trim();
  return createPool({ kind: 'socket', socketDir, port: 5432, user: 'evenfall', password, database: 'postgres' }, { name: 'bench', max });
}

function readyAddresses(child: ChildProcess): Promise<{ readonly address: string; readonly metricsAddress: string }> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const [, address, metricsAddress] = /ready .*grpc=(\S+) metrics=(\S+)/.exec(text) ?? [];
      if (address && metricsAddress) resolve({ address, metricsAddress });
    });
    child.once('exit', (code) => reject(new Error(`The stack ended with ${code} before it was ready`)));
  });
}

/** Adds up the processor time of a process and all below it; the kernel counts in hundredths of a second. */
function cpuSecondsOf(root: number): CpuSeconds {
  const sum = { platform: 0, postgres: 0, functions: 0 };
  const parents = new Map<number, { parent: number; name: string; seconds: number }>();
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
      parents.set(Number(entry), { parent: Number(fields[1]), name, seconds: (Number(fields[11]) + Number(fields[12])) / 100 });
    } catch {
      continue; // it has just ended
    }
  }
  const below = (pid: number): boolean => pid === root || (pid > 1 && below(parents.get(pid)?.parent ?? 0));
  for (const [pid, { name, seconds }] of parents) {
    if (!below(pid)) continue;
    if (pid === root) sum.platform += seconds;
    else if (name === 'postgres') sum.postgres += seconds;
    else sum.functions += seconds;
  }
  return sum;
}
