import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Stack } from '../support/stack.ts';

/** What the process of a caller is given by its environment, and prints. */
export type CallerOrders = { readonly url: string; readonly headers: Readonly<Record<string, string>>; readonly name: string };
export type CallerReport = { readonly times: readonly number[]; readonly failures: readonly string[] };

/** With priority at the processor: the caller represents one on another host, and its own waiting is not the platform's. Ordinary users have no right to. */
const AHEAD = ['chrt', '--rr', '1'];
const PROGRAM = fileURLToPath(new URL('steady-caller-process.ts', import.meta.url));

/** Calls a function at a steady pace, from a process of its own; `stop` answers the milliseconds of every call. A call that fails fails the test. */
export function startCaller({ http, accessKey }: Stack, name: string): { stop(): Promise<readonly number[]> } {
  const orders: CallerOrders = { url: http, headers: { authorization: `Bearer ${accessKey}` }, name };
  const mayGoAhead = spawnSync(AHEAD[0] ?? '', [...AHEAD.slice(1), 'true']).status === 0;
  const [program, ...args] = [...(mayGoAhead ? AHEAD : []), process.execPath, PROGRAM];
  const child = spawn(program, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, EVENFALL_TEST_CALLER: JSON.stringify(orders) },
  });
  const printed = text(child.stdout);
  const closed = once(child, 'close') as Promise<[number | null]>;
  return {
    async stop() {
      child.stdin.end();
      const [status] = await closed;
      if (status !== 0) throw new Error(`the caller of ${name} ended with ${status}`);
      const { times, failures } = JSON.parse(await printed) as CallerReport; // of our own program
      if (failures.length > 0) throw new Error(`${failures.length} calls of ${name} failed:\n${failures.slice(0, 3).join('\n')}`);
      if (times.length === 0) throw new Error(`${name} was never called`);
      return times;
    },
  };
}

/** The value that a share of the values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
