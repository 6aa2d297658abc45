export { createWorkerPool, type PoolOptions, type WorkerPool } from './pool.ts';
export { serveTasks, type Task, type TaskResult } from './serve.ts';
