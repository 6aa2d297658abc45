import type { FunctionMessage as Fn } from '@evenfall/contracts/v1/function';
import { type Block, blockOf, missingOf } from '../domain/account.ts';
import { addInstance } from '../domain/cluster.ts';
import { freeMb, placeAhead } from '../domain/scaling.ts';
import type { Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { requestInstance } from './assign-attempt.ts';
import { makeRoom, makeWay } from './make-room.ts';

/** Agents that have not attached to a new scheduler yet may hold the instances that would be started: they attach again within a second. */
const SETTLE_MS = 2_000;

const SENTENCES: Readonly<Record<Block, string>> = {
  UNKNOWN: 'What the functions may have is not known yet.',
  OFF: 'The function is off: 0 MB are reserved for it.',
  QUOTA: 'Its namespace has all the instances that its quota allows.',
  RESERVED: 'What is reserved for the function is used up by other instances of it.',
  TOTAL: 'The memory that functions share is used up.',
  HELD: 'What is free on the worker hosts is reserved or provisioned for other functions.',
};

/** Starts what is provisioned and missing. Looks at nothing else: a pool that has all of its instances costs nothing. */
export function keepProvisioned(ports: SchedulerPorts): void {
  const nowMs = ports.clock.monotonic();
  if (nowMs - ports.startedMs < SETTLE_MS) return;
  for (const pool of [...ports.cluster.account.short]) fill(ports, pool, nowMs);
}

function fill(ports: SchedulerPorts, pool: Pool, nowMs: number): void {
  const missing = missingOf(pool);
  pool.blockedReason = '';
  if (missing === 0) ports.cluster.account.short.delete(pool);
  if (missing === 0 || !pool.fn || pool.stale) return;
  if (nowMs < pool.startsAfterMs) {
    const seconds = Math.ceil((pool.startsAfterMs - nowMs) / 1_000);
    pool.blockedReason =
      `Its instances end one after the other without an answer; another is started in ${seconds} s. ${pool.lastFailure}`.trim();
    return;
  }
  // After a crash one is tried at a time, as for events that wait.
  const count = pool.crashes > 0 && pool.startsAfterMs > 0 ? Math.min(missing, 1 - pool.starting) : missing;
  for (let i = 0; i < count && startAhead(ports, pool, pool.fn, nowMs); i++);
}

/** Starts an instance without an event. Answers whether it could; if not, and nothing that starts is what it waits for, the pool says why. */
function startAhead(ports: SchedulerPorts, pool: Pool, fn: Fn, nowMs: number): boolean {
  const { agents, account } = ports.cluster;
  const block = blockOf(account, agents.values(), pool, fn.memoryMb);
  if (block) {
    makeWay(ports, pool, block, nowMs);
    pool.blockedReason = SENTENCES[block];
    return false;
  }
  const agent = placeAhead(agents.values(), pool, fn.memoryMb);
  if (!agent) {
    makeRoom(ports, pool, fn.memoryMb, nowMs);
    pool.blockedReason = whyNoAgent(ports, fn.memoryMb);
    return false;
  }
  if (!ports.startRate.reserve(nowMs)) {
    pool.blockedReason = 'The instance starts of this minute are used up.';
    return false;
  }
  const instance = addInstance(agent, pool, ports.newId(), fn, 'STARTING', nowMs);
  ports.counters.instance_starts_total++;
  requestInstance(ports, instance, fn, true);
  return true;
}

/** Empty where a host has room and is only busy starting others. */
function whyNoAgent({ cluster }: SchedulerPorts, memoryMb: number): string {
  const taking = [...cluster.agents.values()].filter(({ send, drain }) => send && !drain);
  if (taking.length === 0) return 'No worker host is attached that takes instances.';
  const hasRoom = taking.some((agent) => freeMb(agent) >= memoryMb);
  return hasRoom ? '' : `No worker host has the ${memoryMb} MB free that an instance takes.`;
}
