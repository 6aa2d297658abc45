import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { type ClientOf, grpcClient } from '@evenfall/rpc';
import { tempDir } from '@evenfall/testkit';
import { zipOf } from './zip.ts';

/** A stack of its own process, as a user would start it, with clients at its gRPC door. */
export type Stack = {
  readonly events: ClientOf<EventServiceService>;
  readonly functions: ClientOf<FunctionServiceService>;
  readonly pid: number;
  deployEcho(name: string, runtime: 'nodejs' | 'python3'): Promise<void>;
  /** Megabytes the stack's process holds. */
  residentMb(): number;
  /** Seconds of processor time the stack's process has used. */
  cpuSeconds(): number;
  stop(): Promise<void>;
};

const MAIN = fileURLToPath(new URL('../services/all-in-one/src/main.ts', import.meta.url));
const ECHO = {
  nodejs: { 'index.js': 'exports.handler = async (event) => event;\n' },
  python3: { 'index.py': 'def handler(event, context):\n    return event\n' },
} as const;

export async function startStack(): Promise<Stack> {
  const dir = tempDir('bench');
  const child = spawn(process.execPath, [...(process.env['BENCH_NODE_FLAGS']?.split(' ') ?? []), MAIN], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      EVENFALL_DATA_DIR: dir.path,
      EVENFALL_HTTP_PORT: '0',
      EVENFALL_GRPC_PORT: '0',
      EVENFALL_METRICS_PORT: '0',
      EVENFALL_LOG_LEVEL: 'warn',
    },
  });
  const address = await readyAddress(child);
  const events = grpcClient(EventServiceService, address);
  const functions = grpcClient(FunctionServiceService, address);
  const pid = child.pid ?? 0;
  return {
    events: events.client,
    functions: functions.client,
    pid,
    async deployEcho(name, runtime) {
      const fn = { ...FunctionMessage.create({ namespace: 'default', name, runtime, handler: 'index.handler', memoryMb: 128 }) };
      await functions.client.createFunction({ function: fn, codeZip: await zipOf(ECHO[runtime]) });
    },
    residentMb: () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    cpuSeconds() {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      return (Number(fields[11]) + Number(fields[12])) / 100;
    },
    async stop() {
      events.close();
      functions.close();
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
      dir.remove();
    },
  };
}

function readyAddress(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
      const match = /ready .*grpc=(\S+)/.exec(text);
      if (match?.[1]) resolve(match[1]);
    });
    child.once('exit', (code) => reject(new Error(`The stack ended with ${code} before it was ready`)));
  });
}
