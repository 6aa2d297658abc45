import type { Subscription } from '@evenfall/event-log';
import { superviseLoop } from '@evenfall/lifecycle';
import type { Deliverer } from '../flows/deliver.ts';
import type { Wake } from '../flows/wake.ts';
import type { QueuePorts } from '../ports.ts';

const ROUND_MS = 50;

export type DeliverLoopParts = {
  readonly queue: QueuePorts;
  readonly deliverer: Deliverer;
  readonly deliveryWake: Wake;
  readonly subscription: Subscription;
};

/** Starts deliveries that are new or due again, and fetches parked ones back. What has just ended does not wait for a round: it wakes the loop. */
export function runDeliver({ queue, deliverer, deliveryWake, subscription }: DeliverLoopParts, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => queue.log.error('deliveries failed', error);
  return superviseLoop({ name: 'deliver', signal, onFailure }, async () => {
    deliverer.fetchParked();
    if (subscription.isOwner()) deliverer.startReady();
    await deliveryWake.wait(ROUND_MS, signal);
  });
}
