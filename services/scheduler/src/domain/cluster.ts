import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { createAttemptQueue } from './attempt-queue.ts';
import type { Agent, Instance, LiveAttempt, Pool } from './types.ts';

/** All the scheduler knows. Soft: rebuilt from what agents and queue replicas say. */
export type Cluster = {
  readonly agents: Map<string, Agent>;
  readonly pools: Map<string, Pool>;
  /** By event id: at most one attempt of an event is alive. */
  readonly attempts: Map<string, LiveAttempt>;
};

export function createCluster(): Cluster {
  return { agents: new Map(), pools: new Map(), attempts: new Map() };
}

export function poolOf(cluster: Cluster, namespace: string, fn: string, version: string): Pool {
  const key = `${namespace}/${fn}/${version}`;
  let pool = cluster.pools.get(key);
  if (!pool) {
    pool = {
      key,
      spec: undefined,
      resolving: false,
      idle: [],
      instances: new Set(),
      starting: 0,
      waiting: createAttemptQueue(),
      averageMs: undefined,
      lastProgressMs: 0,
    };
    cluster.pools.set(key, pool);
  }
  return pool;
}

/** Adds an instance to its agent and its pool. */
export function addInstance(agent: Agent, pool: Pool, id: string, spec: Fn, state: Instance['state'], nowMs: number): Instance {
  const instance: Instance = {
    id,
    agent,
    pool,
    revision: spec.revision,
    memoryMb: spec.memoryMb,
    startTimeMs: Date.now(),
    state,
    attempt: undefined,
    idleSinceMs: nowMs,
  };
  agent.instances.set(id, instance);
  agent.usedMb += instance.memoryMb;
  pool.instances.add(instance);
  if (state === 'STARTING') {
    agent.starting++;
    pool.starting++;
  }
  if (state === 'IDLE') pool.idle.push(instance);
  return instance;
}

/** Moves an instance to another state and keeps the counts true. */
export function setInstanceState(instance: Instance, state: Instance['state'], nowMs: number): void {
  if (instance.state === state) return;
  if (instance.state === 'STARTING') {
    instance.agent.starting--;
    instance.pool.starting--;
  }
  if (instance.state === 'IDLE') {
    const at = instance.pool.idle.lastIndexOf(instance);
    if (at >= 0) instance.pool.idle.splice(at, 1);
  }
  instance.state = state;
  if (state === 'IDLE') {
    instance.idleSinceMs = nowMs;
    instance.pool.idle.push(instance); // the last in is the first out: the rest can cool down
  }
}

/** Takes an instance out of everything. */
export function removeInstance(instance: Instance, nowMs: number): void {
  setInstanceState(instance, 'STOPPING', nowMs);
  if (instance.agent.instances.delete(instance.id)) instance.agent.usedMb -= instance.memoryMb;
  instance.pool.instances.delete(instance);
}

/** Forgets an attempt, if it is still this one that is known. */
export function forgetAttempt(cluster: Cluster, attempt: LiveAttempt): void {
  if (cluster.attempts.get(attempt.assignment.eventId) === attempt) cluster.attempts.delete(attempt.assignment.eventId);
}
