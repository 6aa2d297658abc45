import { freeMb, lastingInstances } from './scaling.ts';
import type { Agent, Pool, Share } from './types.ts';

/** What all functions have together, and what of it is set aside. */
export type Account = {
  /** Megabytes the instances of all functions may have; undefined until the registry has said. */
  totalMb: number | undefined;
  /** Megabytes the instances of functions have that reserve nothing. */
  sharedUsedMb: number;
  /** One for every function that is known, by "namespace/name". */
  readonly shares: Map<string, Share>;
  /** Those of them that have something reserved, also 0. */
  readonly reserved: Set<Share>;
  /** Pools that may have fewer instances than are provisioned. */
  readonly short: Set<Pool>;
};

/** Why no instance can be started though a host may have room. */
export type Block = 'UNKNOWN' | 'OFF' | 'RESERVED' | 'TOTAL' | 'HELD';

/** Of the total, and of what the hosts offer, so much is left to functions that reserve nothing, whatever is reserved. */
const NEVER_RESERVED = 0.1;

export function createAccount(): Account {
  return { totalMb: undefined, sharedUsedMb: 0, shares: new Map(), reserved: new Set(), short: new Set() };
}

/** The share of a function, made when it is first spoken of. */
export function shareOf(account: Account, key: string): Share {
  let share = account.shares.get(key);
  if (!share) account.shares.set(key, (share = { key, account, reservedMb: undefined, usedMb: 0, leavingMb: 0, pools: new Set() }));
  return share;
}

/** Forgets a share that nothing hangs on. */
export function dropShareIfEmpty(share: Share): void {
  if (share.pools.size === 0 && share.reservedMb === undefined && share.usedMb === 0) share.account.shares.delete(share.key);
}

/** Notes that an instance of a function came, or went. */
export function countMemory(share: Share, memoryMb: number): void {
  share.usedMb += memoryMb;
  if (share.reservedMb === undefined) share.account.sharedUsedMb += memoryMb;
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
 * What keeps an instance from being started, whatever room hosts have; undefined if nothing does. A function that reserves has its share to
 * itself and nothing beyond it. All others share the rest, less what is provisioned and missing, and leave the hosts' memory alone that
 * reserving functions have not used yet.
 */
export function blockOf(account: Account, agents: Iterable<Agent>, pool: Pool, memoryMb: number): Block | undefined {
  const { totalMb } = account;
  const { share } = pool;
  if (totalMb === undefined) return 'UNKNOWN';
  if (share.reservedMb === 0) return 'OFF';
  const owedMb = owedTo(account, pool);
  if (share.reservedMb !== undefined) return share.usedMb + owedMb + memoryMb > share.reservedMb ? 'RESERVED' : undefined;
  let reservedMb = 0;
  let unusedMb = 0;
  let usedByReservingMb = 0;
  for (const one of account.reserved) {
    reservedMb += one.reservedMb ?? 0;
    unusedMb += Math.max(0, (one.reservedMb ?? 0) - one.usedMb);
    usedByReservingMb += one.usedMb;
  }
  const sharedMb = Math.max(totalMb * NEVER_RESERVED, totalMb - reservedMb);
  if (account.sharedUsedMb + owedMb + memoryMb > sharedMb) return 'TOTAL';
  if (unusedMb === 0 && owedMb === 0) return undefined;
  let capacityMb = 0;
  let leftMb = 0;
  for (const agent of agents) {
    if (!agent.send || agent.drain) continue;
    capacityMb += agent.capacityMb;
    leftMb += freeMb(agent);
  }
  const heldMb = Math.min(unusedMb + owedMb, Math.max(0, capacityMb * (1 - NEVER_RESERVED) - usedByReservingMb));
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

/** Megabytes that are provisioned and missing, of others that draw on what this pool draws on. */
function owedTo(account: Account, pool: Pool): number {
  let owedMb = 0;
  for (const other of account.short) {
    const isSame = pool.share.reservedMb === undefined ? other.share.reservedMb === undefined : other.share === pool.share;
    if (other !== pool && isSame) owedMb += missingOf(other) * (other.spec?.memoryMb ?? 0);
  }
  return owedMb;
}
