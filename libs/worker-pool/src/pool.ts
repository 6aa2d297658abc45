import { type Transferable, Worker } from 'node:worker_threads';
import { Refusal, refuse } from '@evenfall/errors';
import type { Answer, Question } from './messages.ts';

export type PoolOptions = {
  /** Threads at the same time. */
  readonly size: number;
  /** Tasks that may wait for one; further ones are refused with SERVICE_UNAVAILABLE. */
  readonly maxWaiting: number;
  /** Megabytes one thread may have for objects. */
  readonly memoryMb: number;
  /** How long a task may take; its thread is ended then. */
  readonly withinMs: number;
};

export type WorkerPool = {
  /** Runs a task. Refusals of it reject as such; what it transfers is not there any more afterwards. */
  run<T>(task: string, args: unknown, transfer?: readonly ArrayBuffer[]): Promise<T>;
  close(): Promise<void>;
};

type Job = {
  readonly question: Question;
  readonly transfer: readonly ArrayBuffer[];
  resolve(value: unknown): void;
  reject(error: Error): void;
};

/** Threads without work are ended after so long. */
const IDLE_MS = 10_000;

export function createWorkerPool(file: URL, { size, maxWaiting, memoryMb, withinMs }: PoolOptions): WorkerPool {
  const idle: Worker[] = [];
  const all = new Set<Worker>();
  const waiting: Job[] = [];
  const leaving = new Map<Worker, NodeJS.Timeout>();

  const end = (worker: Worker): void => {
    all.delete(worker);
    const at = idle.indexOf(worker);
    if (at >= 0) idle.splice(at, 1);
    clearTimeout(leaving.get(worker));
    leaving.delete(worker);
    void worker.terminate();
  };
  const start = (): Worker => {
    const worker = new Worker(file, { execArgv: [], resourceLimits: { maxOldGenerationSizeMb: memoryMb } });
    worker.unref();
    all.add(worker);
    return worker;
  };
  const free = (worker: Worker): void => {
    const next = waiting.shift();
    if (next) return assign(worker, next);
    idle.push(worker);
    leaving.set(worker, setTimeout(() => end(worker), IDLE_MS).unref());
  };
  const assign = (worker: Worker, job: Job): void => {
    clearTimeout(leaving.get(worker));
    leaving.delete(worker);
    const over = (): void => {
      worker.off('message', onMessage);
      worker.off('error', onError);
      worker.off('exit', onExit);
      clearTimeout(late);
    };
    const died = (error: Error): void => {
      over();
      worker.on('error', () => undefined); // it is being ended
      end(worker);
      job.reject(error);
      const next = waiting.shift();
      if (next) assign(start(), next);
    };
    const onError = (error: Error): void =>
      died(
        'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
          ? refuse('REQUEST_TOO_LARGE', { max_bytes: `${memoryMb} MB of values` })
          : error,
      );
    const onExit = (): void => died(new Error('A worker thread ended by itself'));
    const onMessage = (answer: Answer): void => {
      over();
      if ('value' in answer) job.resolve(answer.value);
      else if ('refusal' in answer) job.reject(new Refusal(answer.refusal.reason, answer.refusal.metadata));
      else job.reject(new Error(answer.fault));
      free(worker);
    };
    // A task that takes too long fails alone.
    const late = setTimeout(() => died(refuse('DEADLINE_EXCEEDED')), withinMs).unref();
    worker.on('message', onMessage);
    worker.on('error', onError);
    worker.on('exit', onExit);
    worker.postMessage(job.question, job.transfer as Transferable[]);
  };
  return {
    run: <T>(task: string, args: unknown, transfer: readonly ArrayBuffer[] = []) =>
      new Promise<T>((resolve, reject) => {
        const job: Job = { question: { task, args }, transfer, resolve: resolve, reject }; // the caller says what its task answers
        const worker = idle.pop();
        if (worker) assign(worker, job);
        else if (all.size < size) assign(start(), job);
        else if (waiting.length < maxWaiting) waiting.push(job);
        else reject(refuse('SERVICE_UNAVAILABLE', { detail: 'too many large requests are under way' }));
      }),
    async close() {
      await Promise.all([...all].map((worker) => worker.terminate()));
    },
  };
}
