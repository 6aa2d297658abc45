import { parentPort, type Transferable } from 'node:worker_threads';
import { isRefusal } from '@evenfall/errors';
import type { Answer, Question } from './messages.ts';

/** What a task answers, and which buffers of it go over instead of being copied. */
export type TaskResult = { readonly value: unknown; readonly transfer?: readonly ArrayBuffer[] };
export type Task = (args: never) => TaskResult | Promise<TaskResult>;

/** Answers the tasks of a pool, one after the other. Refusals go over as such. */
export function serveTasks(tasks: Readonly<Record<string, Task>>): void {
  const port = parentPort;
  if (!port) throw new Error('This file is for a worker thread');
  port.on('message', ({ task, args }: Question) => {
    const run = async (): Promise<void> => {
      const { value, transfer = [] } = (await tasks[task]?.(args as never)) ?? { value: undefined }; // a task knows its own arguments
      port.postMessage({ value } satisfies Answer, transfer as Transferable[]);
    };
    run().catch((error: unknown) => {
      if (isRefusal(error)) port.postMessage({ refusal: { reason: error.reason, metadata: error.metadata } } satisfies Answer);
      else port.postMessage({ fault: error instanceof Error ? (error.stack ?? error.message) : String(error) } satisfies Answer);
    });
  });
}
