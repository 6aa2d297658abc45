import type { CountWaitingResponse } from '@evenfall/contracts/queue/v1/queue_service';
import type { Lane } from '../domain/types.ts';

/** Counts what waits to start in each namespace, and what is being accepted. */
export function countWaiting(lanes: Iterable<Lane>): CountWaitingResponse {
  const counts = new Map<string, number>();
  for (const { name, waiting, accepting } of lanes)
    if (waiting + accepting > 0) counts.set(name.namespace, (counts.get(name.namespace) ?? 0) + waiting + accepting);
  return { namespaces: [...counts].map(([namespace, count]) => ({ namespace, count: BigInt(count) })) };
}
