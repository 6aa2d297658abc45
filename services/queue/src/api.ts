import type { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import type { Implementation } from '@evenfall/rpc';
import { acceptEvents } from './flows/accept-events.ts';
import { countWaiting } from './flows/count-waiting.ts';
import { allLanes } from './flows/observe.ts';
import type { OwnershipFeed } from './flows/ownership-feed.ts';
import type { Partitions } from './flows/partitions.ts';
import { purgeDeadLetter } from './flows/purge-dead-letter.ts';
import { terminateEvent } from './flows/terminate-event.ts';
import type { Health } from './flows/watch-health.ts';
import type { QueuePorts } from './ports.ts';

export type ApiParts = {
  readonly queue: QueuePorts;
  readonly partitions: Partitions;
  readonly feed: OwnershipFeed;
  readonly health: Health;
};

/** What others may ask of the queue. */
export function createApi(parts: ApiParts): Implementation<QueueServiceService> {
  const { queue, partitions, feed, health } = parts;
  return {
    acceptEvents: (request) => acceptEvents(queue, partitions, request),
    terminateEvent: (request, { signal }) => terminateEvent(parts, request, signal),
    purgeDeadLetter: (request) => purgeDeadLetter(queue, request),
    countWaiting: (request) => Promise.resolve(countWaiting(allLanes(partitions), request)),
    getHealth: () => Promise.resolve({ faults: [...health.faults()] }),
    watchOwnership: (_request, { signal }) => feed.watch(signal),
  };
}
