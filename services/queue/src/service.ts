import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { EventLog } from '@evenfall/event-log';
import type { TopicWriter } from '@evenfall/event-log/kafka';
import type { ClientOf, Implementation } from '@evenfall/rpc';
import type { Log } from '@evenfall/telemetry';
import { type Clock, newUuidV7, systemClock } from '@evenfall/time';
import { createEventView } from './adapters/event-view.ts';
import { createFunctionResolver } from './adapters/functions.ts';
import { createTopicSender } from './adapters/topics.ts';
import { createWebhookSecrets } from './adapters/webhook-secrets.ts';
import { createWebhookSender } from './adapters/webhooks.ts';
import { createApi } from './api.ts';
import { createDestinations } from './domain/destinations.ts';
import { createLaneWindow } from './domain/lanes.ts';
import { createCounters } from './flows/counters.ts';
import { createDeliverer } from './flows/deliver.ts';
import { createFlushSchedule } from './flows/flush-schedule.ts';
import { observeDeliveries } from './flows/observe-deliveries.ts';
import { observeQueue } from './flows/observe.ts';
import { createOwnershipFeed } from './flows/ownership-feed.ts';
import { createPartitions } from './flows/partitions.ts';
import { createSchedulerStream } from './flows/scheduler-stream.ts';
import { createWake } from './flows/wake.ts';
import { createHealth } from './flows/watch-health.ts';
import { runDeliver } from './loops/deliver.ts';
import { runDispatch } from './loops/dispatch.ts';
import { runMaintain } from './loops/maintain.ts';
import { ownPartitions } from './loops/own-partitions.ts';
import type { DestinationPorts, QueuePorts, WebhookSender } from './ports.ts';

export type QueueDeps = {
  readonly eventLog: EventLog;
  readonly eventStore: ClientOf<EventStoreServiceService>;
  readonly scheduler: ClientOf<SchedulerServiceService>;
  readonly registry: ClientOf<RegistryServiceService>;
  /** Where there is a Kafka. The caller closes it. */
  readonly topics: TopicWriter | undefined;
  /** Default: over the network. */
  readonly webhooks?: WebhookSender;
  readonly log: Log;
  /** Default: the system's. */
  readonly clock?: Clock;
};
export type QueueSettings = { readonly laneLimit: number; readonly webhookAllowPrivate: boolean };
export type Queue = {
  readonly api: Implementation<QueueServiceService>;
  /** What keeps accepted events from running, for people; empty if nothing does. */
  faults(): readonly string[];
  stop(): Promise<void>;
};

/** Starts the queue: it takes over partitions, and runs what is in them. Each part is given the ones it calls; none calls back. */
export function startQueue(deps: QueueDeps, settings: QueueSettings): Queue {
  const queue: QueuePorts = {
    eventLog: deps.eventLog,
    view: createEventView(deps.eventStore),
    clock: deps.clock ?? systemClock,
    random: Math.random,
    log: deps.log,
    replicaId: newUuidV7().slice(-12),
    laneLimit: settings.laneLimit,
  };
  const webhooks = createWebhookSender({ allowPrivate: settings.webhookAllowPrivate });
  const ports: DestinationPorts = {
    resolveFunction: createFunctionResolver(deps.registry),
    webhookSecret: createWebhookSecrets(deps.registry),
    topics: deps.topics && createTopicSender(deps.topics),
    webhooks: deps.webhooks ?? webhooks,
  };
  const shared = {
    queue,
    stream: createSchedulerStream(),
    laneWindow: createLaneWindow(),
    destinations: createDestinations(),
    deliveryWake: createWake(),
    schedule: createFlushSchedule(queue),
    counters: createCounters(),
  };
  const partitions = createPartitions(shared);
  const feed = createOwnershipFeed(partitions);
  const health = createHealth(queue, partitions);
  const deliverer = createDeliverer({ ...shared, ports, partitions });
  observeQueue({ ...shared, partitions });
  observeDeliveries(queue, deliverer, shared.destinations);

  const parts = { ...shared, partitions, feed, health, deliverer };
  const stopping = new AbortController();
  const subscription = ownPartitions(parts);
  const loops = Promise.all([
    runDispatch({ ...parts, subscription, scheduler: deps.scheduler }, stopping.signal),
    runMaintain({ ...parts, subscription }, stopping.signal),
    runDeliver({ ...parts, subscription }, stopping.signal),
  ]);
  return {
    faults: health.faults,
    api: createApi(parts),
    async stop() {
      stopping.abort();
      feed.close();
      await Promise.all([loops, deliverer.stop()]);
      webhooks.close();
      await partitions.idle();
      await subscription.stop();
    },
  };
}
