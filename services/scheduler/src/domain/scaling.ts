import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { isOutdated } from './revisions.ts';
import type { Agent, Pool } from './types.ts';

/** What waits may take so long to be gone; about what a cold start costs. */
const TARGET_MS = 100;
/** A function without a finished attempt has stalled when it has made no progress for so long. */
const STALLED_MS = 500;

/** A host above this is full: another instance would only take from those there are. */
const FULL = 0.85;

/** How many instances to start, and whether also on a host whose processors are busy. */
export type StartsWanted = { readonly count: number; readonly pressing: boolean };

/**
 * How many instances of a function may still take events: not those on a host that drains, nor those of which only leftovers
 * run, nor those that are replaced. */
export function usableInstances(pool: Pool, agents: Iterable<Agent>): number {
  if (pool.isMixed) return [...pool.instances].filter((one) => !isOutdated(one) && !one.agent.drain && one.state !== 'SETTLING').length;
  for (const { drain } of agents)
    if (drain) return [...pool.instances].filter(({ agent, state }) => !agent.drain && state !== 'SETTLING').length;
  return pool.instances.size - pool.settling;
}

/** How many of them will stay: not those either that are being stopped. */
export function lastingInstances({ instances }: Pool): number {
  let count = 0;
  for (const { agent, state } of instances) if (!agent.drain && state !== 'STOPPING') count++;
  return count;
}

/**
 * How many instances to start now: as many as it takes to have what waits gone within the target, going by how long attempts have taken
 * so far, or by how long nothing has moved. So 10,000 events of 0.1 ms share a few instances, and ten of a minute get one each. A function
 * without a finished attempt gets one for every attempt. While attempts end, a host that is full gets no more: attempts that are slow because the
 * processors are would call for ever more instances, and each would make them slower (141 of them for an echo function, on two cores).
 */
export function startsWanted(pool: Pool, usable: number, nowMs: number): StartsWanted {
  const waiting = pool.waiting.size;
  if (waiting === 0) return { count: 0, pressing: false };
  if (usable === 0) return { count: pool.averageMs === undefined ? waiting : 1, pressing: true };
  if (pool.averageMs === undefined) return { count: waiting - pool.starting, pressing: nowMs - pool.lastProgressMs > STALLED_MS };
  const stalledMs = nowMs - pool.lastProgressMs;
  const flowing = stalledMs <= Math.max(2 * pool.averageMs, TARGET_MS);
  // While attempts end, those there are count; when none does, those there are do not help.
  const needed = flowing ? (waiting * pool.averageMs) / TARGET_MS - usable : (waiting * stalledMs) / TARGET_MS - pool.starting;
  return { count: Math.max(0, Math.min(waiting, Math.floor(needed))), pressing: !flowing };
}

/** Whether an agent can get work: not while it is away, drains, or some queue replica has not acknowledged it. */
export function acceptsWork({ send, drain, isAcknowledged }: Agent): boolean {
  return send !== undefined && !drain && isAcknowledged;
}

/** Whether an agent may be asked to start another instance, if it has the memory. */
function mayStart(agent: Agent): boolean {
  return acceptsWork(agent) && agent.starting < agent.parallelStarts && agent.instances.size < agent.maxInstances;
}

/** Megabytes an agent has left for instances: temporary files of those it has are memory too. */
export function freeMb({ capacityMb, usedMb, temporaryMb }: Agent): number {
  return capacityMb - usedMb - temporaryMb;
}

/** The agent with the most room for an instance of this size; undefined if none has room, or all are busy, or busy starting others. */
export function placeInstance(agents: Iterable<Agent>, memoryMb: number, pressing: boolean): Agent | undefined {
  let best: Agent | undefined;
  for (const agent of agents) {
    if (!mayStart(agent) || freeMb(agent) < memoryMb) continue;
    if (agent.cpuBusy > FULL && !pressing) continue;
    if (!best || freeMb(agent) > freeMb(best)) best = agent;
  }
  return best;
}

/** The agent for an instance that is started ahead: one with the fewest of its kind, and of those with the most room. Processors may be busy. */
export function placeAhead(agents: Iterable<Agent>, pool: Pool, memoryMb: number): Agent | undefined {
  const counts = new Map<Agent, number>();
  for (const { agent } of pool.instances) counts.set(agent, (counts.get(agent) ?? 0) + 1);
  const countOf = (agent: Agent): number => counts.get(agent) ?? 0;
  let best: Agent | undefined;
  for (const agent of agents) {
    if (!mayStart(agent) || freeMb(agent) < memoryMb) continue;
    const isBetter = !best || countOf(agent) < countOf(best) || (countOf(agent) === countOf(best) && freeMb(agent) > freeMb(best));
    if (isBetter) best = agent;
  }
  return best;
}

/** Whether an instance may take another event after this end. Agents follow the same rule: what fails, or was signalled, is retired. */
export function leavesInstanceReusable(ended: AttemptResult, synchronous: boolean): boolean {
  if (ended.stop) return false;
  if (ended.outcome === Outcome.RETURNED && ended.statusCode === 200) return true;
  return synchronous && (ended.outcome === Outcome.RETURNED || ended.outcome === Outcome.THREW);
}
