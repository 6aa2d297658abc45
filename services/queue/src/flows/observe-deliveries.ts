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
    deliveries_total: byKind('Destinations that were told how an event ended.', 'DELIVERED'),
    delivery_retries_total: byKind('Attempts to tell a destination that failed and are repeated.', 'RETRY'),
    deliveries_given_up_total: byKind('Destinations that were given up without having been told.', 'GIVE_UP'),
    deliveries_owed: {
      doc: 'Ended events of its partitions whose destination is still to be told.',
      kind: 'gauge',
      read: () => destinations.size,
    },
    delivery_oldest_seconds: {
      doc: 'How long ago the event ended that has been waiting longest for its destination to be told; 0 if none waits.',
      kind: 'gauge',
      read: oldestSeconds,
    },
  });
}
