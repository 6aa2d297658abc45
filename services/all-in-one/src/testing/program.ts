import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const FREE_PORTS = {
  EVENFALL_HTTP_PORT: '0',
  EVENFALL_GRPC_PORT: '0',
  EVENFALL_METRICS_PORT: '0',
  EVENFALL_LOG_LEVEL: 'error',
  EVENFALL_LOG_FORMAT: 'text',
};

/** What a program that has ended left behind. */
export type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

/** The program as a user would start it. */
export type Program = {
  readonly child: ChildProcess;
  /** The addresses of its ready line; rejects if it ends first. */
  readonly ready: Promise<{ readonly http: string; readonly metrics: string }>;
  readonly ended: Promise<Ended>;
};

export function startProgram(env: Readonly<Record<string, string>>): Program {
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '', ...FREE_PORTS, ...env },
  });
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })));
  const ready = new Promise<{ http: string; metrics: string }>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('utf8');
      const match = /ready http=(\S+) grpc=\S+ metrics=(\S+)/.exec(stdout);
      if (match) resolve({ http: match[1] ?? '', metrics: match[2] ?? '' });
    });
    void ended.then(({ code, stderr: said }) => reject(new Error(`It ended with ${code} before it was ready:\n${said}`)));
  });
  ready.catch(() => undefined); // who waits for the end need not wait for this
  return { child, ready, ended };
}
