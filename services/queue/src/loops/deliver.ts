import { superviseLoop } from '@evenfall/lifecycle';
import { delay } from '@evenfall/time';
import type { Deliverer } from '../flows/deliver.ts';
import type { QueuePorts } from '../ports.ts';

const ROUND_MS = 50;

/** Tries again what is due, and fetches back what waits in the view. What has just ended does not wait for a round. */
export function runDeliver(ports: QueuePorts, deliverer: Deliverer, signal: AbortSignal): Promise<void> {
  const onFailure = (error: unknown): void => ports.log.error('could not tell destinations', error);
  return superviseLoop({ name: 'deliver', signal, onFailure }, async () => {
    deliverer.fetchWhereLow();
    deliverer.pump();
    await delay(ROUND_MS, signal);
  });
}
