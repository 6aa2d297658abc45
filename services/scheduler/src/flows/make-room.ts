import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { type Block, canSpare, isOverQuota, isOverReserved } from '../domain/account.ts';
import { freeMb, acceptsWork } from '../domain/scaling.ts';
import type { Instance, Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { stopInstance } from './stop-instance.ts';

/** The only warm instance of a function is left to it for so long: under a flood of others it would start cold every time. */
const LAST_WARM_MS = 1_000;

/**
 * Has the instance that has been idle longest make way on a host that is full, if that can make room enough. The room is there once it is
 * gone. For a function that is too large for the idle memory nothing is stopped: it would not help. Reserved and provisioned instances are
 * not stopped.
 */
export function makeRoom(ports: SchedulerPorts, pool: Pool, memoryMb: number, nowMs: number): void {
  let oldest: Instance | undefined;
  for (const agent of ports.cluster.agents.values()) {
    if (!acceptsWork(agent) || agent.starting >= agent.parallelStarts || freeMb(agent) >= memoryMb) continue;
    let freeableMb = freeMb(agent);
    let candidate: Instance | undefined;
    for (const instance of agent.instances.values()) {
      if (instance.state === 'STOPPING') return; // room is being made already
      if (instance.state !== 'IDLE' || !isReplaceable(instance, pool)) continue;
      freeableMb += instance.memoryMb;
      if (isLastWarm(instance, nowMs)) continue;
      if (!candidate || instance.idleSinceMs < candidate.idleSinceMs) candidate = instance;
    }
    if (freeableMb >= memoryMb && candidate && (!oldest || candidate.idleSinceMs < oldest.idleSinceMs)) oldest = candidate;
  }
  if (oldest) stopInstance(ports, oldest, Cause.IDLE);
}

/** Has what is idle make way for a function that may have no more memory before something of what it shares is gone. */
export function makeWay(ports: SchedulerPorts, pool: Pool, block: Block, nowMs: number): void {
  if (block === 'UNKNOWN' || block === 'OFF') return;
  const { share } = pool;
  if (block === 'QUOTA') return makeWayInNamespace(ports, pool, nowMs);
  const shares = share.reservedMb === undefined ? share.account.shares.values() : [share];
  let oldest: Instance | undefined;
  for (const one of shares) {
    if (one !== share && one.reservedMb !== undefined) continue;
    if (one.leavingMb > 0) return; // room is being made already
    for (const { idle } of one.pools)
      for (const instance of idle) {
        if (!isReplaceable(instance, pool) || (one !== share && isLastWarm(instance, nowMs))) continue;
        if (!oldest || instance.idleSinceMs < oldest.idleSinceMs) oldest = instance;
      }
  }
  if (oldest) stopInstance(ports, oldest, Cause.IDLE);
}

/** The same for one whose namespace may have no more instances: what is idle of another function there goes, whatever is reserved for it. */
function makeWayInNamespace(ports: SchedulerPorts, pool: Pool, nowMs: number): void {
  const { space } = pool.share;
  if (space.leavingCount > 0) return; // room is being made already
  let oldest: Instance | undefined;
  for (const one of space.shares)
    for (const { idle } of one.pools)
      for (const instance of idle) {
        if (!canSpare(instance.pool) || (one !== pool.share && isLastWarm(instance, nowMs))) continue;
        if (!oldest || instance.idleSinceMs < oldest.idleSinceMs) oldest = instance;
      }
  if (oldest) stopInstance(ports, oldest, Cause.IDLE);
}

/** Stops what is idle of a function that has more than it may, as after its reservation or the quota of its namespace was lowered. */
export function shedSurplus(ports: SchedulerPorts, pool: Pool): void {
  while (isOverReserved(pool.share) || isOverQuota(pool.share)) {
    const [instance] = pool.idle;
    if (!instance) return;
    stopInstance(ports, instance, Cause.IDLE);
  }
}

/** Whether an idle instance may make way for a pool: it is not one that is provisioned, nor in memory that is reserved for another function. */
function isReplaceable(instance: Instance, pool: Pool): boolean {
  const { share } = instance.pool;
  return (share === pool.share || share.reservedMb === undefined) && canSpare(instance.pool);
}

function isLastWarm(instance: Instance, nowMs: number): boolean {
  return instance.pool.idle.length === 1 && nowMs - instance.idleSinceMs < LAST_WARM_MS;
}
