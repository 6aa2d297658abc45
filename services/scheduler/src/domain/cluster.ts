import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { countInstance, countLeaving, createAccount, dropShareIfEmpty, missingOf, shareOf } from './account.ts';
import { createAttemptQueue } from './attempt-queue.ts';
import type { Account, Agent, Instance, ScheduledAttempt, Pool, ReportSink, Stream } from './types.ts';

/** All the scheduler knows. Soft: rebuilt from what agents and queue replicas say. */
export type Cluster = {
  readonly agents: Map<string, Agent>;
  readonly pools: Map<string, Pool>;
  /** By event id: at most one attempt of an event is alive. */
  readonly attempts: Map<string, ScheduledAttempt>;
  /** The newest known claim to each partition of the event log. */
  readonly epochs: Map<number, bigint>;
  /** The stream with that claim, while it is open. */
  readonly owners: Map<number, ReportSink>;
  /** Streams of queue replicas. */
  readonly streams: Map<ReportSink, Stream>;
  /** Agents that have said what they hold, ever. */
  readonly reportedAgents: Set<string>;
  /** Attempts an agent may have that has not come back yet, in order. */
  readonly held: Set<ScheduledAttempt>;
  /** Whether queue replicas were informed that the recovery window is over. */
  isRecoveryComplete: boolean;
  readonly account: Account;
};

export function createCluster(): Cluster {
  return {
    agents: new Map(),
    pools: new Map(),
    attempts: new Map(),
    epochs: new Map(),
    owners: new Map(),
    streams: new Map(),
    reportedAgents: new Set(),
    held: new Set(),
    isRecoveryComplete: false,
    account: createAccount(),
  };
}

export function poolOf(cluster: Cluster, namespace: string, fn: string, version: string): Pool {
  const key = `${namespace}/${fn}/${version}`;
  let pool = cluster.pools.get(key);
  if (!pool) {
    const share = shareOf(cluster.account, `${namespace}/${fn}`);
    pool = {
      key,
      share,
      provisioned: 0,
      blockedReason: '',
      lastFailure: '',
      fn: undefined,
      stale: false,
      resolving: undefined,
      oldest: 0,
      isMixed: false,
      missingCode: 0,
      idle: [],
      instances: new Set(),
      starting: 0,
      settling: 0,
      waiting: createAttemptQueue(),
      averageMs: undefined,
      crashes: 0,
      startsAfterMs: 0,
      lastProgressMs: 0,
    };
    share.pools.add(pool);
    cluster.pools.set(key, pool);
  }
  return pool;
}

/** Forgets a pool that has no instances and that nothing waits for. */
export function dropPool(cluster: Cluster, pool: Pool): void {
  cluster.pools.delete(pool.key);
  cluster.account.short.delete(pool);
  pool.share.pools.delete(pool);
  dropShareIfEmpty(pool.share);
}

/** Adds an instance to its agent and its pool. */
export function addInstance(agent: Agent, pool: Pool, id: string, fn: Fn, state: Instance['state'], nowMs: number): Instance {
  const instance: Instance = {
    id,
    agent,
    pool,
    revision: fn.revision,
    memoryMb: fn.memoryMb,
    startTimeMs: Date.now(),
    state,
    attempt: undefined,
    startMs: nowMs,
    proven: false,
    crashed: false,
    idleSinceMs: nowMs,
  };
  agent.instances.set(id, instance);
  agent.usedMb += instance.memoryMb;
  pool.instances.add(instance);
  countInstance(pool.share, instance.memoryMb, 1);
  if (state === 'STOPPING') countLeaving(pool.share, instance.memoryMb, 1);
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
  const { share } = instance.pool;
  if (instance.state === 'STOPPING') countLeaving(share, instance.memoryMb, -1);
  if (state === 'STOPPING') {
    countLeaving(share, instance.memoryMb, 1);
    noteShort(instance.pool);
  }
  if (instance.state === 'SETTLING') instance.pool.settling--;
  if (state === 'SETTLING') instance.pool.settling++;
  instance.state = state;
  if (state === 'IDLE' || state === 'SETTLING') instance.idleSinceMs = nowMs;
  if (state === 'IDLE') {
    instance.pool.idle.push(instance); // the last in is the first out: the rest can cool down
  }
}

/** Takes an instance out of everything. */
export function removeInstance(instance: Instance, nowMs: number): void {
  setInstanceState(instance, 'STOPPING', nowMs);
  if (instance.agent.instances.delete(instance.id)) instance.agent.usedMb -= instance.memoryMb;
  if (!instance.pool.instances.delete(instance)) return;
  countInstance(instance.pool.share, instance.memoryMb, -1);
  countLeaving(instance.pool.share, instance.memoryMb, -1);
}

/** Notes that a pool may have too few instances now. */
export function noteShort(pool: Pool): void {
  if (pool.provisioned > 0) pool.share.account.short.add(pool);
}

/** Takes an attempt out of those that are to be given to an agent. Answers whether it was one. */
export function removeWaiting(cluster: Cluster, attempt: ScheduledAttempt): boolean {
  if (attempt.instance) return false;
  const { namespace, function: fn, version } = attempt.assignment;
  return cluster.held.delete(attempt) || cluster.pools.get(`${namespace}/${fn}/${version}`)?.waiting.remove(attempt) === true;
}

/** Forgets an attempt, if it is still this one that is known. */
export function forgetAttempt(cluster: Cluster, attempt: ScheduledAttempt): void {
  if (cluster.attempts.get(attempt.assignment.eventId) === attempt) cluster.attempts.delete(attempt.assignment.eventId);
}

/** Counts the instances of all agents, with a 0 for states without any. */
export function instancesByState(cluster: Cluster): ReadonlyMap<string, number> {
  const counts = new Map<string, number>([
    ['STARTING', 0],
    ['IDLE', 0],
    ['BUSY', 0],
    ['SETTLING', 0],
    ['STOPPING', 0],
  ] satisfies [Instance['state'], number][]);
  for (const { instances } of cluster.agents.values())
    for (const { state } of instances.values()) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts;
}

/** Adds up megabytes over the agents that are attached. */
export function memoryOf(cluster: Cluster, what: 'capacityMb' | 'usedMb'): number {
  let sum = 0;
  for (const agent of cluster.agents.values()) if (agent.send) sum += agent[what];
  return sum;
}

/** Counts the agents that are attached. */
export function attachedAgents(cluster: Cluster): number {
  let count = 0;
  for (const agent of cluster.agents.values()) if (agent.send) count++;
  return count;
}

/** Counts the function versions whose next start waits because their instances came to nothing. */
export function poolsBackingOff(cluster: Cluster, nowMs: number): number {
  let count = 0;
  for (const pool of cluster.pools.values()) if (pool.startsAfterMs > nowMs) count++;
  return count;
}

/** Counts the instances that are provisioned, and those of them that are missing. */
export function provisionedCounts({ pools }: Cluster): { readonly wanted: number; readonly missing: number } {
  let wanted = 0;
  let missing = 0;
  for (const pool of pools.values()) {
    if (pool.provisioned === 0) continue;
    wanted += pool.provisioned;
    missing += missingOf(pool);
  }
  return { wanted, missing };
}

/** Counts the attempts that wait for an instance. */
export function attemptsWaiting(cluster: Cluster): number {
  let sum = 0;
  for (const pool of cluster.pools.values()) sum += pool.waiting.size;
  return sum;
}
