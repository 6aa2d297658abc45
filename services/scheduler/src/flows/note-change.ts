import type { Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { resolvePool } from './place-attempts.ts';

/** Handles a function that has changed or is deleted: no attempt of it starts on the earlier settings. Settles once it is resolved again. */
export async function noteChange(ports: SchedulerPorts, namespace: string, name: string): Promise<void> {
  await renew(ports, ports.cluster.account.shares.get(`${namespace}/${name}`)?.pools ?? []);
}

/** Handles the case that any function may have changed, because the watch was interrupted. */
export async function noteAnyChange(ports: SchedulerPorts): Promise<void> {
  await renew(ports, ports.cluster.pools.values());
}

async function renew(ports: SchedulerPorts, pools: Iterable<Pool>): Promise<void> {
  const all = [...pools];
  for (const pool of all) pool.stale = true;
  await Promise.all(all.map((pool) => resolvePool(ports, pool)));
}
