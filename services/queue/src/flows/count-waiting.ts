import type { CountWaitingRequest, CountWaitingResponse } from '@evenfall/contracts/queue/v1/queue_service';
import { addToKey } from '../domain/key-counts.ts';
import type { Lane } from '../domain/types.ts';

/** Counts what waits to start in each namespace, and of each access key if asked to, with what is being accepted. */
export function countWaiting(lanes: Iterable<Lane>, { byKey }: CountWaitingRequest): CountWaitingResponse {
  const namespaces = new Map<string, number>();
  const keys = new Map<string, number>();
  for (const lane of lanes) {
    const { name, waiting, accepting } = lane;
    if (waiting + accepting > 0) namespaces.set(name.namespace, (namespaces.get(name.namespace) ?? 0) + waiting + accepting);
    if (byKey) for (const [keyId, count] of lane.byKey) addToKey(keys, keyId, count);
  }
  return {
    namespaces: [...namespaces].map(([namespace, count]) => ({ namespace, count: BigInt(count) })),
    keys: [...keys].map(([keyId, count]) => ({ keyId, count: BigInt(count) })),
  };
}
