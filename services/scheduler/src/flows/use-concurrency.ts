import type { GetConcurrencyResponse } from '@evenfall/contracts/registry/v1/registry_service';
import { setReservations } from '../domain/account.ts';
import { noteShort, poolOf } from '../domain/cluster.ts';
import type { Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { flushAgents } from './flush.ts';
import { keepProvisioned } from './keep-provisioned.ts';
import { placeAttempts } from './place-attempts.ts';
import { applyFunction } from './apply-function.ts';

/** Takes over what is reserved and provisioned, and the quotas of instances. What runs goes on; what it means for the rest follows at once. */
export function useConcurrency(ports: SchedulerPorts, { totalMb, reservations, provisions, instanceQuotas }: GetConcurrencyResponse): void {
  const { cluster } = ports;
  setReservations(cluster.account, totalMb, new Map(reservations.map((one) => [`${one.namespace}/${one.name}`, one.memoryMb])));
  cluster.account.instanceQuotas = new Map(instanceQuotas.map(({ namespace, instances }) => [namespace, instances]));
  const wanted = new Map<Pool, number>();
  for (const { function: fn, instances } of provisions) {
    if (!fn) continue;
    const pool = poolOf(cluster, fn.namespace, fn.name, fn.version);
    applyFunction(ports, pool, fn);
    wanted.set(pool, instances);
  }
  for (const pool of cluster.pools.values()) {
    pool.provisioned = wanted.get(pool) ?? 0;
    if (pool.provisioned === 0) pool.blockedReason = '';
    if (pool.provisioned === 0) cluster.account.short.delete(pool);
    noteShort(pool);
  }
  for (const pool of cluster.pools.values()) if (pool.waiting.size > 0) placeAttempts(ports, pool);
  keepProvisioned(ports);
  flushAgents(ports);
}
