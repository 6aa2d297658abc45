import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import type { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import type { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { EventLog } from '@evenfall/event-log';
import type { TopicWriter } from '@evenfall/event-log/kafka';
import { isFinal } from '@evenfall/event-model';
import type { ClientOf, Implementation } from '@evenfall/rpc';
import { countable, type Log } from '@evenfall/telemetry';
import { type Clock, newUuidV7, systemClock } from '@evenfall/time';
import { createEventView } from './adapters/event-view.ts';
import { createFunctionResolver } from './adapters/functions.ts';
import { createTopicSender } from './adapters/topics.ts';
import { createWebhookSecrets } from './adapters/webhook-secrets.ts';
import { createWebhookSender } from './adapters/webhooks.ts';
import type { Subject } from './domain/outbox.ts';
import { acceptEvents } from './flows/accept-events.ts';
import { countWaiting } from './flows/count-waiting.ts';
import { createDeliverer } from './flows/deliver.ts';
import { createDispatcher } from './flows/dispatcher.ts';
import { observeDeliveries } from './flows/observe-deliveries.ts';
import { observeQueue } from './flows/observe.ts';
import { createOwner } from './flows/owner.ts';
import { createOwnership } from './flows/ownership.ts';
import { terminateEvent } from './flows/terminate-event.ts';
import { purgeDeadLetter } from './flows/purge-dead-letter.ts';
import { createHealth } from './flows/watch-health.ts';
import { createWriter } from './flows/writer.ts';
import { runDeliver } from './loops/deliver.ts';
import { runDispatch } from './loops/dispatch.ts';
import { ownPartitions } from './loops/own-partitions.ts';
import { runTend } from './loops/tend.ts';
import type { QueuePorts, WebhookSender } from './ports.ts';

export type QueueDeps = {
  readonly eventLog: EventLog;
  readonly eventStore: ClientOf<EventStoreServiceService>;
  readonly scheduler: ClientOf<SchedulerServiceService>;
  readonly registry: ClientOf<RegistryServiceService>;
  /** Where there is a Kafka. It stays its owner's. */
  readonly topics: TopicWriter | undefined;
  /** The network's, but in tests. */
  readonly webhooks?: WebhookSender;
  readonly log: Log;
  /** The system's, but in tests. */
  readonly clock?: Clock;
};
export type QueueSettings = { readonly laneLimit: number; readonly webhookAllowPrivate: boolean };
export type Queue = {
  readonly api: Implementation<QueueServiceService>;
  /** What keeps accepted events from running, for people; empty if nothing does. */
  faults(): readonly string[];
  stop(): Promise<void>;
};

/** Starts the queue: takes its partitions over, and runs what is in them. */
export function startQueue(deps: QueueDeps, settings: QueueSettings): Queue {
  const ports: QueuePorts = {
    eventLog: deps.eventLog,
    view: createEventView(deps.eventStore),
    clock: deps.clock ?? systemClock,
    random: Math.random,
    log: deps.log,
    replicaId: newUuidV7().slice(-12),
    laneLimit: settings.laneLimit,
  };
  const counters = countable('queue', {
    accepted_total: {
      doc: 'New events this replica took in as their owner; one asked for twice with one key counts once.',
      kind: 'counter',
    },
    taken_over: { doc: 'Open events this replica took over from before it started or from another, less those it gave up.', kind: 'gauge' },
    ended_total: { doc: 'Events this replica brought to a final state.', kind: 'counter' },
    open: { doc: 'Open events this replica owns.', kind: 'gauge' },
    append_failures_total: { doc: 'Appends to the event log that failed and were tried again.', kind: 'counter' },
    records_replaced_total: {
      doc: 'Records the event log refused for good: one that says so was written instead, or nothing where there is none.',
      kind: 'counter',
    },
    unaccounted: { doc: 'Accepted and taken over, less ended and open: 0 at every quiet moment.', kind: 'gauge' },
  });
  const balance = (): void => {
    counters.open = owner.book.size + owner.lanes.parkedCount;
    counters.unaccounted = counters.accepted_total + counters.taken_over - counters.ended_total - counters.open;
  };
  const onRecorded = (entry: Subject, record: EventRecord): void => {
    if ('route' in entry) return deliverer.recorded(entry, record);
    dispatcher.recorded(entry, record);
    const { change } = record;
    const ended = change?.$case === 'endedUnstarted' || (change?.$case === 'attemptConcluded' && isFinal(change.value.state));
    if (ended) {
      counters.ended_total++;
      if (entry.stored.event?.deliveries.length) deliverer.owe(entry.stored, entry.partition, true);
      owner.forget(entry);
      balance();
    }
    if (!entry.waiters) return;
    // Asked again after the signal, a caller has nothing to wait for but its own request being in the log.
    const steps = entry.stored.event?.termination?.steps.length ?? 0;
    const delivered = change?.$case === 'signalSent' || (change?.$case === 'terminationRequested' && steps > 0);
    for (const waiter of entry.waiters) if (ended || (waiter.until === 'DELIVERED' && delivered)) waiter.resolve();
  };
  const ownership = createOwnership(deps.eventLog.partitionCount, ports.replicaId);
  const writer = createWriter(ports, ownership, onRecorded, counters);
  const health = createHealth(ports, writer, ownership);
  const owner = createOwner(ports, ownership, writer);
  const dispatcher = createDispatcher(ports, ownership, owner, () => owning.standing());

  const webhooks = createWebhookSender({ allowPrivate: settings.webhookAllowPrivate });
  const deliverer = createDeliverer({
    queue: ports,
    destinations: {
      resolveFunction: createFunctionResolver(deps.registry),
      webhookSecret: createWebhookSecrets(deps.registry),
      topics: deps.topics && createTopicSender(deps.topics),
      webhooks: deps.webhooks ?? webhooks,
    },
    ownership,
    writer,
    isStanding: () => owning.standing(),
    lanes: () => owner.lanes,
  });

  observeQueue(ports, owner, ownership, writer);
  observeDeliveries(ports, deliverer);
  const stopping = new AbortController();
  const tally = {
    accepted() {
      counters.accepted_total++;
      balance();
    },
    takenOver(count: number) {
      counters.taken_over += count;
      balance();
    },
  };
  const parts = { queue: ports, ownership, owner, writer, dispatcher, deliverer, tally, health };
  const owning = ownPartitions(parts, tally);
  const dispatching = runDispatch({ queue: ports, health }, deps.scheduler, dispatcher, stopping.signal);
  const tending = runTend(parts, stopping.signal);
  const delivering = runDeliver(ports, deliverer, stopping.signal);
  return {
    faults: health.faults,
    api: {
      acceptEvents: (request) => acceptEvents(ports, owner.lanes, request),
      terminateEvent: (request, { signal }) => terminateEvent({ queue: ports, ownership, owner, writer }, request, signal),
      purgeDeadLetter: (request) => purgeDeadLetter(ports, request),
      countWaiting: () => Promise.resolve(countWaiting(owner.lanes)),
      getHealth: () => Promise.resolve({ faults: [...health.faults()] }),
      watchOwnership: (_request, { signal }) => ownership.watch(signal),
    },
    async stop() {
      stopping.abort();
      ownership.close();
      await Promise.all([dispatching, tending, delivering, deliverer.stop()]);
      webhooks.close();
      await writer.idle();
      await owning.stop();
    },
  };
}
