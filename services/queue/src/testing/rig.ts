import type { Assignment, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import {
  EventStoreServiceService,
  type GetSnapshotRequest,
  type ListPendingDeliveriesRequest,
  type ListQueuedEventsRequest,
  type OpenEvent,
} from '@evenfall/contracts/event_store/v1/event_store_service';
import { RegistryServiceService } from '@evenfall/contracts/registry/v1/registry_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { AcceptedEvent, EventPolicy, type EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { TerminateEventRequest } from '@evenfall/contracts/queue/v1/queue_service';
import {
  type AgentSet,
  type DispatchRequest,
  type DispatchResponse,
  SchedulerServiceService,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { refuse } from '@evenfall/errors';
import { laneKey, partitionOfLane } from '@evenfall/event-log';
import { destinationKey, evolve, isByOwner, isFinal, NO_OWNER, pendingDestination, ownerAfter } from '@evenfall/event-model';
import { inProcessClient, pushable, type Pushable } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import { type Clock, durationOfMs, newUuidV7, systemClock } from '@evenfall/time';
import type { TopicWriter } from '@evenfall/event-log/kafka';
import type { WebhookSender } from '../ports.ts';
import { type Queue, startQueue } from '../service.ts';
import { type MemoryLog, memoryLog } from '../../../../libs/event-log/src/testing/memory-log.ts';

/** A queue between a log in memory and a scheduler that is played by the test. */
export type Rig = {
  readonly log: MemoryLog;
  readonly queue: Queue;
  /** Everything the scheduler was sent, over all its streams. */
  readonly sent: DispatchRequest;
  /** Makes lists of queued events answer for ever what they would answer now. */
  freezeQueued(): void;
  /** How often queued events were fetched from the view. */
  readCount(): number;
  /** Ids of the assignments, in order. */
  assigned(): string[];
  /** Reports as the scheduler. */
  report(...reports: AttemptReport[]): void;
  /** The agents that were named to the scheduler, by stream: in its first batch, and in every later one that named some. */
  readonly agentSets: DispatchRequest['agents'][][];
  /** Names the agents, as the scheduler. */
  sendAgents(agents: AgentSet): void;
  /** Confirms the claims, where the rig ignores them. */
  confirm(): void;
  /** Breaks the stream; the queue dials again. */
  breakStream(): void;
  accept(more?: AcceptOptions): Promise<string>;
  terminate(id: string, more?: Partial<TerminateEventRequest>): Promise<void>;
  /** The event as the log has it. */
  event(id: string): Event | undefined;
  /** Names of the changes that were recorded about an event. */
  changes(id: string): string[];
  stop(): Promise<void>;
};
export type AcceptOptions = {
  readonly id?: string;
  readonly fn?: string;
  readonly delayMs?: number;
  readonly keyed?: boolean;
  readonly policy?: Partial<EventPolicy>;
  /** A payload of so many bytes; `{}` without. */
  readonly payloadBytes?: number;
  readonly depth?: number;
  readonly accessKeyId?: string;
};
export type RigOptions = {
  readonly log?: MemoryLog;
  readonly clock?: Clock;
  readonly laneLimit?: number;
  /** Whether claims are not confirmed before `confirm`. */
  readonly ignoresClaims?: boolean;
  /** How often the view cannot be read before it can. */
  readonly viewFailures?: number;
  readonly webhooks?: WebhookSender;
  readonly topics?: TopicWriter;
  /** What the registry knows, by name. Default: whatever is asked for, with code. */
  readonly functions?: Readonly<Record<string, FunctionMessage>>;
};

const never = new AbortController().signal;

export function startRig(options: RigOptions = {}): Rig {
  const log = options.log ?? memoryLog();
  const sent: DispatchRequest = { assignments: [], stops: [], acks: [], claims: [], agents: undefined };
  let stream: Pushable<DispatchResponse> | undefined;
  const agentSets: DispatchRequest['agents'][][] = [];
  let reads = 0;
  let frozen: Recorded | undefined;
  let viewFailures = options.viewFailures ?? 0;
  const queue = startQueue(
    {
      eventLog: log,
      eventStore: inProcessClient(
        EventStoreServiceService,
        {
          async *getSnapshot({ partitions }: GetSnapshotRequest) {
            if (viewFailures-- > 0) throw refuse('VIEW_UNAVAILABLE', { detail: 'it is played so' });
            yield {
              positions: partitions.map((partition) => ({
                partition,
                endOffset: BigInt(log.records(partition).length),
                ...ownerIn(log, partition),
              })),
              events: partitions.flatMap((partition) => openOf(log.records(partition), log.logTimesMs(partition))),
              pendingDeliveries: partitions.flatMap((partition) => pendingOf(log.records(partition), log.logTimesMs(partition))),
            };
          },
          async listQueuedEvents({ eventId, afterOffset, limit, function: fn }: ListQueuedEventsRequest) {
            reads++;
            const { records, timesMs } = (eventId === '' && frozen) || recordedIn(log, partitionOf(log, fn));
            const all = openOf(records, timesMs).filter(
              ({ folded }) => folded?.event?.function === fn && folded.event.state === State.QUEUED,
            );
            if (eventId !== '') return { events: all.filter(({ folded }) => folded?.event?.id === eventId), hasMore: false };
            const after = all.filter(({ acceptOffset }) => acceptOffset > afterOffset);
            return { events: after.slice(0, limit), hasMore: after.length > limit };
          },
          async listPendingDeliveries({ partition, destination, limit, exceptEventIds }: ListPendingDeliveriesRequest) {
            const all = pendingOf(log.records(partition), log.logTimesMs(partition)).filter((folded) => {
              const target = pendingDestination(folded);
              return target && destinationKey(target) === destination && !exceptEventIds.includes(folded.event?.id ?? '');
            });
            return { events: all.slice(0, limit), hasMore: all.length > limit };
          },
          async getEvent({ eventId }: { eventId: string }) {
            const found = fold(allRecords(log)).get(eventId)?.event;
            if (!found) throw refuse('EVENT_NOT_FOUND', { event_id: eventId });
            return { event: found };
          },
        } as never, // the queue asks for nothing else
        () => undefined,
      ),
      scheduler: inProcessClient(
        SchedulerServiceService,
        {
          dispatch(requests: AsyncIterable<DispatchRequest>) {
            const responses = pushable<DispatchResponse>();
            stream = responses;
            void (async () => {
              const sets: DispatchRequest['agents'][] = [];
              agentSets.push(sets);
              for await (const { assignments, stops, acks, claims, agents } of requests) {
                if (agents || sets.length === 0) sets.push(agents);
                sent.assignments.push(...assignments);
                sent.stops.push(...stops);
                sent.acks.push(...acks);
                sent.claims.push(...claims);
                if (claims.length > 0 && !options.ignoresClaims) responses.push({ reports: [], claims, agents: undefined });
              }
            })();
            return responses;
          },
        } as never, // nor of this one
        () => undefined,
      ),
      registry: inProcessClient(
        RegistryServiceService,
        {
          async resolveFunction({ namespace, name }: { namespace: string; name: string }) {
            const known = options.functions ? options.functions[name] : FunctionMessage.create({ namespace, name, codeSha256: 'ab' });
            if (!known) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
            return { function: known };
          },
        } as never, // nor of this one
        () => undefined,
      ),
      topics: options.topics,
      ...(options.webhooks ? { webhooks: options.webhooks } : {}),
      log: silentLog,
      clock: options.clock ?? systemClock,
    },
    { laneLimit: options.laneLimit ?? 100_000, webhookAllowPrivate: true },
  );
  return {
    log,
    queue,
    sent,
    freezeQueued: () => (frozen = { records: allRecords(log), timesMs: allTimes(log) }),
    readCount: () => reads,
    assigned: () => sent.assignments.map(({ eventId }) => eventId),
    report: (...reports) => stream?.push({ reports, claims: [], agents: undefined }),
    agentSets,
    sendAgents: (agents) => stream?.push({ reports: [], claims: [], agents }),
    confirm: () => stream?.push({ reports: [], claims: sent.claims, agents: undefined }),
    breakStream: () => stream?.fail(new Error('the stream broke')),
    async accept({ id = newUuidV7(), delayMs, ...more } = {}) {
      const accepted = acceptedOf(more);
      const delay = delayMs === undefined ? undefined : durationOfMs(delayMs);
      await queue.api.acceptEvents({ events: [{ eventId: id, delay, accepted }] }, context);
      return id;
    },
    async terminate(eventId, more = {}) {
      await queue.api.terminateEvent({ ...TerminateEventRequest.create({ mode: 1, requester: 'ann' }), eventId, ...more }, context);
    },
    event: (id) => fold(allRecords(log)).get(id)?.event,
    changes: (id) =>
      allRecords(log)
        .filter((record) => record.eventId === id)
        .map((record) => record.change?.$case ?? ''),
    async stop() {
      stream?.end();
      await queue.stop();
    },
  };
}

export function acceptedOf({
  fn = 'f',
  keyed = false,
  policy,
  payloadBytes = 0,
  depth = 0,
  accessKeyId = '',
}: AcceptOptions): AcceptedEvent {
  return AcceptedEvent.create({
    namespace: 'default',
    function: fn,
    qualifier: '$LATEST',
    version: '$LATEST',
    trigger: 'api',
    payload: payloadBytes > 0 ? Buffer.alloc(payloadBytes, '1') : Buffer.from('{}'),
    keyed,
    policy: { ...EventPolicy.fromPartial({ retryIntervalMs: 60_000, maxEventAgeMs: 21_600_000, maxGracePeriodMs: 600_000 }), ...policy },
    depth,
    accessKeyId,
  });
}

const context = { signal: never, header: () => undefined };

/** How many events wait, by the access key they were sent with. */
export async function waitingByKey({ queue }: Rig): Promise<Record<string, number>> {
  const { keys } = await queue.api.countWaiting({ byKey: true }, context);
  return Object.fromEntries(keys.map(({ keyId, count }) => [keyId, Number(count)]));
}

/** Where the events of a function are. */
export function partitionOf(log: MemoryLog, fn = 'f'): number {
  return partitionOfLane(laneKey('default', fn, 'api'), log.partitionCount);
}

export function startedReport({ eventId, attempt, partition }: Assignment): AttemptReport {
  const value = { instanceId: 'i', agentId: 'a', coldStart: false, coldStartDetail: undefined, startTime: new Date(), memoryMb: 128 };
  return { eventId, attempt, partition, report: { $case: 'started', value } };
}

type Times = readonly (number | undefined)[];
type Recorded = { readonly records: readonly EventRecord[]; readonly timesMs: Times };

function recordedIn(log: MemoryLog, partition: number): Recorded {
  return { records: log.records(partition), timesMs: log.logTimesMs(partition) };
}

function allRecords(log: MemoryLog): EventRecord[] {
  return Array.from({ length: log.partitionCount }, (_, partition) => log.records(partition)).flat();
}

function allTimes(log: MemoryLog): Times {
  return Array.from({ length: log.partitionCount }, (_, partition) => log.logTimesMs(partition)).flat();
}

function fold(records: readonly EventRecord[], timesMs: Times = []): Map<string, FoldedEvent> {
  const events = new Map<string, FoldedEvent>();
  // Records of one partition are together and in order.
  let owner = NO_OWNER;
  for (const [i, record] of records.entries()) {
    owner = ownerAfter(owner, record);
    if (record.eventId === '' || !isByOwner(owner, record)) continue;
    const after = evolve(events.get(record.eventId), record, timesMs[i]);
    if (after) events.set(record.eventId, after);
  }
  return events;
}

function openOf(records: readonly EventRecord[], timesMs: Times): OpenEvent[] {
  const offsets = new Map<string, bigint>();
  for (const [offset, { eventId }] of records.entries()) if (!offsets.has(eventId)) offsets.set(eventId, BigInt(offset));
  return [...fold(records, timesMs).entries()]
    .filter(([, { event }]) => event !== undefined && !isFinal(event.state))
    .map(([id, folded]) => ({ folded, acceptOffset: offsets.get(id) ?? 0n }));
}

function pendingOf(records: readonly EventRecord[], timesMs: Times): FoldedEvent[] {
  return [...fold(records, timesMs).values()].filter((folded) => pendingDestination(folded));
}

function ownerIn(log: MemoryLog, partition: number): { readonly owner: string; readonly ownerLogTime: Date | undefined } {
  const at = log.records(partition).findLastIndex(({ change }) => change?.$case === 'ownerChanged');
  const timeMs = log.logTimesMs(partition)[at];
  return { owner: log.records(partition)[at]?.writerId ?? NO_OWNER, ownerLogTime: timeMs === undefined ? undefined : new Date(timeMs) };
}
