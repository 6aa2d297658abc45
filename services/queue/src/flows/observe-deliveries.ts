import { observable } from '@evenfall/telemetry';
import type { Destinations } from '../domain/destinations.ts';
import type { Outcome } from '../domain/delivery-outcome.ts';
import { TARGET_KINDS } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';
import type { Deliverer } from './deliver.ts';

/** Shows what was delivered to destinations, and what is pending. */
export function observeDeliveries(ports: QueuePorts, deliverer: Deliverer, destinations: Destinations): void {
  const byKind = (doc: string, outcome: Outcome['kind']) => ({
    doc,
    kind: 'counter' as const,
    label: 'kind',
    readEach: () => TARGET_KINDS.map((kind) => [kind, deliverer.counts[outcome][kind]] as const),
  });
  const oldestSeconds = (): number => Math.max(0, ports.clock.now() - (destinations.oldestEndMs() ?? Infinity)) / 1_000;
  observable('queue', {
    deliveries_total: byKind('Deliveries to destinations that succeeded.', 'DELIVERED'),
    delivery_retries_total: byKind('Attempts of deliveries that failed and are retried.', 'RETRY'),
    deliveries_given_up_total: byKind('Deliveries that were given up.', 'GIVE_UP'),
    deliveries_pending: {
      doc: 'Ended events of its partitions that have a pending delivery.',
      kind: 'gauge',
      read: () => destinations.size,
    },
    delivery_oldest_seconds: {
      doc: 'Time since the end of the event with the oldest pending delivery; 0 without one.',
      kind: 'gauge',
      read: oldestSeconds,
    },
  });
}
