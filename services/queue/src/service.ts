import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import type { SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import type { EventLog } from '@evenfall/event-log';
import { isFinal } from '@evenfall/event-model';
import type { ClientOf, Implementation } from '@evenfall/rpc';
import { countable, type Log, observable } from '@evenfall/telemetry';
import { newUuidV7, systemClock } from '@evenfall/time';
import { createEventView } from './adapters/event-view.ts';
import type { Entry } from './domain/book.ts';
import { createTally } from './domain/tally.ts';
import { acceptEvents } from './flows/accept-events.ts';
import { createDispatcher } from './flows/dispatcher.ts';
import { createOwner } from './flows/owner.ts';
import { terminateEvent } from './flows/terminate-event.ts';
import { createWriter } from './flows/writer.ts';
import { runDispatch } from './loops/dispatch.ts';
import { ownPartitions } from './loops/own-partitions.ts';
import { runTend } from './loops/tend.ts';
import type { QueuePorts } from './ports.ts';

/** Attempts on their way above which commits are made larger rather than sooner. */
const BUSY_ABOVE = 64;

export type QueueDeps = {
  readonly eventLog: EventLog;
  readonly eventStore: ClientOf<EventStoreServiceService>;
  readonly scheduler: ClientOf<SchedulerServiceService>;
  readonly log: Log;
};
export type QueueSettings = { readonly laneLimit: number };
export type Queue = { readonly api: Implementation<QueueServiceService>; stop(): Promise<void> };

/** Starts the queue: takes its partitions over, and runs what is in them. */
export function startQueue(deps: QueueDeps, settings: QueueSettings): Queue {
  const ports: QueuePorts = {
    eventLog: deps.eventLog,
    view: createEventView(deps.eventStore),
    clock: systemClock,
    random: Math.random,
    log: deps.log,
    writerId: newUuidV7().slice(-12),
    laneLimit: settings.laneLimit,
  };
  const counters = countable('queue', {
    accepted_total: { doc: 'Events accepted by this replica.', kind: 'counter' },
    ended_total: { doc: 'Events this replica brought to a final state.', kind: 'counter' },
  });
  const tally = createTally();
  observable('queue', {
    open: { doc: 'Open events this replica owns.', kind: 'gauge', read: () => owner.book.size },
    conservation_difference: {
      doc: 'Events accepted or recovered by this replica that have neither ended nor are open: 0 at quiet moments.',
      kind: 'gauge',
      read: () => tally.difference(owner.book.size),
    },
    on_the_way: { doc: 'Attempts that were dispatched and have not ended.', kind: 'gauge', read: () => owner.lanes.onTheWay },
  });
  const onDurable = (entry: Entry, record: EventRecord): void => {
    dispatcher.durable(entry, record);
    const { change } = record;
    const ended = change?.$case === 'endedUnstarted' || (change?.$case === 'attemptConcluded' && isFinal(change.value.state));
    if (ended) {
      counters.ended_total++;
      if (owner.book.get(entry.id) === entry) tally.ended();
      owner.forget(entry);
    }
    if (!entry.waiters) return;
    for (const waiter of entry.waiters) if (ended || (waiter.until === 'DELIVERED' && change?.$case === 'signalSent')) waiter.resolve();
  };
  const writer = createWriter(ports, onDurable, () => owner.lanes.onTheWay > BUSY_ABOVE);
  const owner = createOwner(ports, writer);
  const dispatcher = createDispatcher(ports, owner);

  const stopping = new AbortController();
  const owning = ownPartitions(ports, owner, dispatcher, tally);
  const dispatching = runDispatch(ports, deps.scheduler, dispatcher, stopping.signal);
  const tending = runTend(ports, owner, dispatcher, stopping.signal);
  return {
    api: {
      async acceptEvents(request) {
        const answer = await acceptEvents(ports, owner.lanes, request);
        counters.accepted_total += request.events.length;
        for (const { partition, endOffset } of answer.positions) tally.accepted(partition, Number(endOffset), request.events.length);
        return answer;
      },
      terminateEvent: (request, { signal }) => terminateEvent({ queue: ports, owner, writer }, request, signal),
    },
    async stop() {
      stopping.abort();
      await Promise.all([dispatching, tending]);
      await writer.idle();
      await owning.stop();
    },
  };
}
