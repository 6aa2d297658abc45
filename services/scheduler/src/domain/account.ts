import { UNRESERVED_SHARE } from '@evenfall/function-model';
import { freeMb, lastingInstances } from './scaling.ts';
import type { Account, Agent, Pool, Share, Space } from './types.ts';

/** Why no instance can be started though a host may have room. */
export type Block = 'UNKNOWN' | 'OFF' | 'QUOTA' | 'RESERVED' | 'TOTAL' | 'HELD';

export function createAccount(): Account {
  return {
    totalMb: undefined,
    sharedUsedMb: 0,
    shares: new Map(),
    spaces: new Map(),
    instanceQuotas: new Map(),
    reserved: new Set(),
    short: new Set(),
  };
}

/** The share of a function, made at the first use. */
export function shareOf(account: Account, key: string): Share {
  let share = account.shares.get(key);
  if (!share) {
    const space = spaceOf(account, key.slice(0, key.indexOf('/')));
    share = { key, account, space, reservedMb: undefined, usedMb: 0, leavingMb: 0, pools: new Set() };
    account.shares.set(key, share);
    space.shares.add(share);
  }
  return share;
}

function spaceOf(account: Account, namespace: string): Space {
  let space = account.spaces.get(namespace);
  if (!space) account.spaces.set(namespace, (space = { namespace, shares: new Set(), instanceCount: 0, leavingCount: 0 }));
  return space;
}

/** Forgets a share that nothing hangs on. */
export function dropShareIfEmpty(share: Share): void {
  if (share.pools.size > 0 || share.reservedMb !== undefined || share.usedMb > 0) return;
  const { account, space } = share;
  account.shares.delete(share.key);
  space.shares.delete(share);
  if (space.shares.size === 0) account.spaces.delete(space.namespace);
}

/** Notes that an instance of a function came, or went. */
export function countInstance(share: Share, memoryMb: number, sign: 1 | -1): void {
  share.usedMb += sign * memoryMb;
  share.space.instanceCount += sign;
  if (share.reservedMb === undefined) share.account.sharedUsedMb += sign * memoryMb;
}

/** Notes that an instance of a function began to be stopped, or is not any more. */
export function countLeaving(share: Share, memoryMb: number, sign: 1 | -1): void {
  share.leavingMb += sign * memoryMb;
  share.space.leavingCount += sign;
}

/** How many instances a namespace may have, by its quota or the default; undefined for any number. */
export function mostInstances({ instanceQuotas }: Account, { namespace }: Space): number | undefined {
  return instanceQuotas.has(namespace) ? instanceQuotas.get(namespace) : instanceQuotas.get('*');
}

/** Whether a namespace has all the instances it may have, or more. */
export function isAtQuota({ account, space }: Share): boolean {
  const most = mostInstances(account, space);
  return most !== undefined && space.instanceCount >= most;
}

/** Whether a namespace has more than its quota allows, those not counted that are leaving. */
export function isOverQuota({ account, space }: Share): boolean {
  const most = mostInstances(account, space);
  return most !== undefined && space.instanceCount - space.leavingCount > most;
}

/** Sets all reservations anew. */
export function setReservations(account: Account, totalMb: number, reservations: ReadonlyMap<string, number>): void {
  account.totalMb = totalMb;
  for (const share of [...account.reserved]) {
    if (reservations.has(share.key)) continue;
    account.reserved.delete(share);
    share.reservedMb = undefined;
    dropShareIfEmpty(share);
  }
  for (const [key, memoryMb] of reservations) {
    const share = shareOf(account, key);
    share.reservedMb = memoryMb;
    account.reserved.add(share);
  }
  account.sharedUsedMb = 0;
  for (const share of account.shares.values()) if (share.reservedMb === undefined) account.sharedUsedMb += share.usedMb;
}

/**
 * What keeps an instance from being started, whatever room hosts have; undefined if nothing does. A namespace has no more instances than its quota. A function that reserves has its share to
 * itself and nothing beyond it. All others share the rest, less what is provisioned and missing, and leave the hosts' memory alone that
 * reserving functions have not used yet.
 */
export function blockOf(account: Account, agents: Iterable<Agent>, pool: Pool, memoryMb: number): Block | undefined {
  const { totalMb } = account;
  const { share } = pool;
  if (totalMb === undefined) return 'UNKNOWN';
  if (share.reservedMb === 0) return 'OFF';
  const most = mostInstances(account, share.space);
  if (most !== undefined && share.space.instanceCount + missingOfOthers(account, pool) + 1 > most) return 'QUOTA';
  const missingMb = missingMbOf(account, pool);
  if (share.reservedMb !== undefined) return share.usedMb + missingMb + memoryMb > share.reservedMb ? 'RESERVED' : undefined;
  let reservedMb = 0;
  let unusedMb = 0;
  let usedByReservingMb = 0;
  for (const one of account.reserved) {
    reservedMb += one.reservedMb ?? 0;
    unusedMb += Math.max(0, (one.reservedMb ?? 0) - one.usedMb);
    usedByReservingMb += one.usedMb;
  }
  const sharedMb = Math.max(totalMb * UNRESERVED_SHARE, totalMb - reservedMb);
  if (account.sharedUsedMb + missingMb + memoryMb > sharedMb) return 'TOTAL';
  if (unusedMb === 0 && missingMb === 0) return undefined;
  let capacityMb = 0;
  let leftMb = 0;
  for (const agent of agents) {
    if (!agent.send || agent.drain) continue;
    capacityMb += agent.capacityMb;
    leftMb += freeMb(agent);
  }
  const heldMb = Math.min(unusedMb + missingMb, Math.max(0, capacityMb * (1 - UNRESERVED_SHARE) - usedByReservingMb));
  return leftMb - memoryMb < heldMb ? 'HELD' : undefined;
}

/** Instances of a pool that are provisioned and are not there. */
export function missingOf(pool: Pool): number {
  return Math.max(0, pool.provisioned - lastingInstances(pool));
}

/** Whether a share has more than is reserved for it, those not counted that are leaving. */
export function isOverReserved({ reservedMb, usedMb, leavingMb }: Share): boolean {
  return reservedMb !== undefined && usedMb - leavingMb > reservedMb;
}

/** Whether an idle instance can be spared: it is not one of those that are provisioned. */
export function canSpare(pool: Pool): boolean {
  if (pool.provisioned === 0) return true;
  return pool.instances.size > pool.provisioned && lastingInstances(pool) > pool.provisioned;
}

/** Instances that are provisioned and missing, of others in the namespace of this pool. */
function missingOfOthers(account: Account, pool: Pool): number {
  let count = 0;
  for (const other of account.short) if (other !== pool && other.share.space === pool.share.space) count += missingOf(other);
  return count;
}

/** Megabytes that are provisioned and missing, of others that draw on what this pool draws on. */
function missingMbOf(account: Account, pool: Pool): number {
  let missingMb = 0;
  for (const other of account.short) {
    const isSame = pool.share.reservedMb === undefined ? other.share.reservedMb === undefined : other.share === pool.share;
    if (other !== pool && isSame) missingMb += missingOf(other) * (other.fn?.memoryMb ?? 0);
  }
  return missingMb;
}
