import type { Pool } from '../domain/types.ts';
import type { SchedulerPorts } from '../ports.ts';
import { resolvePool } from './place-attempts.ts';

/** A function has changed, or is gone: from now on nothing of it starts on what was known before. Settles once it is known anew. */
export async function noteChange(ports: SchedulerPorts, namespace: string, name: string): Promise<void> {
  await renew(ports, ports.cluster.account.shares.get(`${namespace}/${name}`)?.pools ?? []);
}

/** Any function may have changed: the watch was not there to tell. */
export async function noteAnyChange(ports: SchedulerPorts): Promise<void> {
  await renew(ports, ports.cluster.pools.values());
}

async function renew(ports: SchedulerPorts, pools: Iterable<Pool>): Promise<void> {
  const all = [...pools];
  for (const pool of all) pool.stale = true;
  await Promise.all(all.map((pool) => resolvePool(ports, pool)));
}
