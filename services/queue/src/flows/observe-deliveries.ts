import { observable } from '@evenfall/telemetry';
import { TARGET_KINDS } from '../domain/deliveries.ts';
import type { Outcome } from '../domain/delivery-outcome.ts';
import type { QueuePorts } from '../ports.ts';
import type { Deliverer } from './deliver.ts';

/** Shows what destinations were told, and what they are still to be told. */
export function observeDeliveries(ports: QueuePorts, deliverer: Deliverer): void {
  const byKind = (doc: string, outcome: Outcome['kind']) => ({
    doc,
    kind: 'counter' as const,
    label: 'kind',
    readEach: () => TARGET_KINDS.map((kind) => [kind, deliverer.counts[outcome][kind]] as const),
  });
  const oldestSeconds = (): number => Math.max(0, ports.clock.now() - (deliverer.oldestEndMs() ?? Infinity)) / 1_000;
  observable('queue', {
    deliveries_total: byKind('Destinations that were told how an event ended.', 'DELIVERED'),
    delivery_retries_total: byKind('Attempts to tell a destination that failed and are repeated.', 'RETRY'),
    deliveries_given_up_total: byKind('Destinations that were given up without having been told.', 'GIVE_UP'),
    deliveries_owed: {
      doc: 'Ended events of its partitions whose destination is still to be told.',
      kind: 'gauge',
      read: () => deliverer.size,
    },
    delivery_oldest_seconds: {
      doc: 'How long ago the event ended that has been waiting longest for its destination to be told; 0 if none waits.',
      kind: 'gauge',
      read: oldestSeconds,
    },
  });
}
