import { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import { type EventToAccept, QueueServiceService, type TerminateEventRequest } from '@evenfall/contracts/queue/v1/queue_service';
import {
  type StoredAccessKey,
  RegistryServiceService,
  type WatchAccessKeysResponse,
  type WatchQuotasResponse,
  type WatchFunctionsResponse,
} from '@evenfall/contracts/registry/v1/registry_service';
import {
  type DrainAgentRequest,
  type InvokeRequest,
  InvokeResponse,
  SchedulerServiceService,
} from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { AccessKey, AccessKeyServiceService } from '@evenfall/contracts/v1/access_key_service';
import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import { Event } from '@evenfall/contracts/v1/event';
import type { DeadLetter, WatchEventResponse } from '@evenfall/contracts/v1/event_service';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { FunctionServiceService, ProvisionedConcurrency } from '@evenfall/contracts/v1/function_service';
import { LogLine } from '@evenfall/contracts/v1/log_service';
import { AgentToken, Agent, Instance } from '@evenfall/contracts/v1/operator_service';
import type { KeyQuota, NamespaceQuota } from '@evenfall/contracts/v1/quota_service';
import { refuse, type Refusal } from '@evenfall/errors';
import { inProcessClient, pushable, type Pushable } from '@evenfall/rpc';
import { silentLog } from '@evenfall/telemetry';
import type { GatewayPorts } from '../service.ts';
import { keepRecords } from './audit.ts';
import { completeEvent, completeFunction, completeLetter, RUNNABLE } from './complete.ts';
import { fakeQuotas, waitingIn } from './fake-quotas.ts';

/** All services behind the APIs, in memory, and the calls that they received. */
const AGENT_TOKEN = {
  ...AgentToken.create(),
  id: '01990000-0000-7000-8000-00000000000f',
  createTime: new Date(0),
  expireTime: new Date(1),
};

export type World = {
  readonly ports: GatewayPorts;
  readonly functions: Map<string, FunctionMessage>;
  readonly events: Map<string, Event>;
  readonly deadLetters: Map<string, DeadLetter>;
  readonly accepted: EventToAccept[];
  readonly terminations: TerminateEventRequest[];
  readonly invocations: InvokeRequest[];
  readonly drains: DrainAgentRequest[];
  readonly lists: unknown[];
  readonly updates: unknown[];
  readonly codes: Buffer[];
  readonly watches: { readonly after: number; readonly out: Pushable<WatchEventResponse> }[];
  readonly functionWatches: Pushable<WatchFunctionsResponse>[];
  readonly keyWatches: Pushable<WatchAccessKeysResponse>[];
  isKeyWatchAway: boolean; // no watch of keys is taken then
  /** Keys of the registry, by id. */
  readonly keys: Map<string, StoredAccessKey>;
  readonly quotaWatches: Pushable<WatchQuotasResponse>[];
  /** Quotas by namespace, and by key. */
  readonly namespaceQuotas: Map<string, NamespaceQuota>;
  readonly keyQuotas: Map<string, KeyQuota>;
  /** Events of each namespace that wait, as the queue counts them. */
  /** By namespace; of access keys as "key ID". */
  readonly waiting: Map<string, number>;
  /** Whether what is accepted waits too, and nothing of it starts. */
  keepsWaiting: boolean;
  readonly audit: AuditRecord[];
  /** What the queue says of itself. */
  readonly faults: string[];
  resolveCount: number;
  /** Provisioned instances that were reported to the scheduler. */
  provisioned: number;
  reservedMb: number | undefined;
  /** Thrown by the queue, once set. */
  queueFailure: Error | undefined;
  invokeAnswer: InvokeResponse;
  /** Lines of every log, once set. */
  logLines: readonly LogLine[] | undefined;
};

export function fakeWorld(): World {
  const functions = new Map<string, FunctionMessage>([
    ['default/killer', RUNNABLE],
    ['default/empty', { ...RUNNABLE, name: 'empty', codeSha256: '' }],
  ]);
  const find = (namespace: string, name: string): FunctionMessage => {
    const fn = functions.get(`${namespace}/${name}`);
    if (!fn) throw refuse('FUNCTION_NOT_FOUND', { namespace, function: name });
    return fn;
  };
  const event = (id: string): Event => {
    const found = world.events.get(id);
    if (!found) throw refuse('EVENT_NOT_FOUND', { event_id: id });
    return found;
  };
  const keyNamed = (id: string): AccessKey => {
    const found = world.keys.get(id)?.accessKey;
    if (!found) throw refuse('ACCESS_KEY_NOT_FOUND', { key_id: id });
    return found;
  };
  const notHere = (): never => {
    throw refuse('UNIMPLEMENTED', { detail: 'a fake' });
  };

  const world: World = {
    functions,
    events: new Map(),
    deadLetters: new Map(),
    accepted: [],
    terminations: [],
    invocations: [],
    drains: [],
    lists: [],
    updates: [],
    codes: [],
    watches: [],
    functionWatches: [],
    keyWatches: [],
    isKeyWatchAway: false,
    keys: new Map(),
    quotaWatches: [],
    namespaceQuotas: new Map(),
    keyQuotas: new Map(),
    waiting: new Map(),
    keepsWaiting: false,
    audit: [],
    faults: [],
    resolveCount: 0,
    provisioned: 2,
    reservedMb: undefined,
    queueFailure: undefined,
    logLines: undefined,
    invokeAnswer: InvokeResponse.create({
      ended: { statusCode: 200, result: Buffer.from('{"n": 1.0}'), durationMs: 1.2, memoryBytes: 5n, logTail: 'END' },
    }),
    ports: {
      log: silentLog,
      functions: inProcessClient(FunctionServiceService, {
        createFunction: async ({ function: fn, codeZip }) => {
          const key = `${fn?.namespace}/${fn?.name}`;
          if (!fn || functions.has(key)) throw refuse('FUNCTION_EXISTS', { namespace: fn?.namespace ?? '', function: fn?.name ?? '' });
          const stored = completeFunction({ ...fn, version: '$LATEST', revision: 1, codeSizeBytes: BigInt(codeZip.length) });
          functions.set(key, stored);
          world.codes.push(codeZip);
          return { function: stored };
        },
        getFunction: async ({ namespace, name }) => ({ function: find(namespace, name) }),
        listFunctions: async () => ({ functions: [...functions.values()], nextPageToken: '' }),
        updateFunction: async (request) => {
          world.updates.push(request);
          const old = find(request.function?.namespace ?? '', request.function?.name ?? '');
          return { function: completeFunction({ ...old, ...request.function, revision: old.revision + 1 }) };
        },
        updateFunctionCode: async ({ namespace, name, codeZip }) => {
          world.codes.push(codeZip);
          return { function: find(namespace, name) };
        },
        streamUpdateFunctionCode: async (requests) => {
          let named = { namespace: '', name: '' };
          const pieces: Buffer[] = [];
          for await (const { namespace, name, chunk } of requests) {
            if (name !== '') named = { namespace, name }; // the last says that they are all
            pieces.push(chunk);
          }
          world.codes.push(Buffer.concat(pieces));
          return { function: find(named.namespace, named.name) };
        },
        deleteFunction: async ({ namespace, name }) => {
          find(namespace, name);
          functions.delete(`${namespace}/${name}`);
          return {};
        },
        publishFunctionVersion: async ({ namespace, name, description }) => ({
          function: { ...find(namespace, name), version: '1', description },
        }),
        putReservedConcurrency: async ({ namespace, name, memoryMb }) => {
          find(namespace, name);
          world.reservedMb = memoryMb;
          return { reservedConcurrency: { memoryMb, totalMb: 128_000, availableMb: 115_200 } };
        },
        getReservedConcurrency: async () => ({
          reservedConcurrency: { memoryMb: world.reservedMb, totalMb: 128_000, availableMb: 115_200 },
        }),
        deleteReservedConcurrency: async () => {
          world.reservedMb = undefined;
          return {};
        },
        putProvisionedConcurrency: async ({ qualifier, instances }) => ({
          provisionedConcurrency: { ...ProvisionedConcurrency.create(), version: qualifier, instances },
        }),
        getProvisionedConcurrency: async () => ({
          versions: [{ ...ProvisionedConcurrency.create(), version: '1', instances: 2 }],
          unallocatedMb: 1_000,
        }),
        deleteProvisionedConcurrency: async () => ({}),
        listFunctionVersions: async ({ namespace, name }) => ({ functions: [find(namespace, name)], nextPageToken: '' }),
      }),
      accessKeys: inProcessClient(AccessKeyServiceService, {
        createAccessKey: async ({ id, role, namespaces, showPayloads, scf, description }) => ({
          accessKey: { ...AccessKey.create(), id: id || 'made', role, namespaces, showPayloads, scf, description, createTime: new Date(0) },
          secret: 'a-new-secret',
        }),
        getAccessKey: async ({ id }) => ({ accessKey: keyNamed(id) }),
        listAccessKeys: async () => ({
          accessKeys: [...world.keys.values()].flatMap(({ accessKey }) => accessKey ?? []),
          nextPageToken: '',
        }),
        rotateAccessKey: async ({ id }) => ({ accessKey: keyNamed(id), secret: 'another-secret' }),
        revokeAccessKey: async ({ id }) => ({ accessKey: { ...keyNamed(id), revokeTime: new Date(0) } }),
      }),
      quotas: fakeQuotas(() => world),
      registry: inProcessClient(RegistryServiceService, {
        watchQuotas: () => {
          const watch = pushable<WatchQuotasResponse>();
          watch.push({ namespaceQuotas: [...world.namespaceQuotas.values()], keyQuotas: [...world.keyQuotas.values()], isComplete: true });
          world.quotaWatches.push(watch);
          return watch;
        },
        watchAccessKeys: () => {
          const watch = pushable<WatchAccessKeysResponse>();
          if (world.isKeyWatchAway) watch.fail(new Error('away'));
          else watch.push({ keys: [...world.keys.values()], isComplete: true });
          world.keyWatches.push(watch);
          return watch;
        },
        openWebhookSecret: () => Promise.reject(new Error('not asked by a gateway')),
        getGrantKeys: async () => ({ keys: [] }),
        createAgentToken: async () => ({ agentToken: AGENT_TOKEN, secret: 'evj_secret', authoritySha256: 'ab' }),
        listAgentTokens: async () => ({ agentTokens: [AGENT_TOKEN], nextPageToken: '' }),
        revokeAgentToken: async () => ({ agentToken: AGENT_TOKEN }),
        renewCertificate: () => Promise.reject(new Error('not asked by a gateway')),
        recordAudit: ({ records }) => keepRecords(world.audit, records),
        listAudit: async (request) => {
          world.lists.push(request);
          return { auditRecords: [...world.audit], nextPageToken: '' };
        },
        resolveFunction: async ({ namespace, name, qualifier }) => {
          world.resolveCount++;
          const fn = find(namespace, name);
          if (qualifier === 'nowhere') throw refuse('QUALIFIER_NOT_FOUND', { function: name, qualifier });
          return { function: fn };
        },
        getConcurrency: async () => ({ totalMb: 128_000, reservations: [], provisions: [], instanceQuotas: [] }),
        getCodePackage: notHere,
        watchFunctions: () => {
          const watch = pushable<WatchFunctionsResponse>();
          watch.push({ namespace: '', name: '' });
          world.functionWatches.push(watch);
          return watch;
        },
      }),
      queues: [
        inProcessClient(QueueServiceService, {
          getHealth: async () => ({ faults: [...world.faults] }),
          acceptEvents: async ({ events }) => {
            if (world.queueFailure) throw world.queueFailure;
            world.accepted.push(...events);
            // As the log has it: the first of an id counts.
            for (const { eventId: id, accepted, delay } of events)
              if (accepted?.keyed && !world.events.has(id)) {
                const { namespace, function: fn, qualifier, version, trigger, requestSha256, redrivenFrom } = accepted;
                const named = { namespace, function: fn, qualifier, version, trigger, requestSha256, redrivenFrom };
                world.events.set(
                  id,
                  Event.create({ id, state: 1, createTime: new Date(0), nextAttemptTime: delay && new Date(1), ...named }),
                );
              }
            return { positions: [{ partition: 1, endOffset: 1n }] };
          },
          terminateEvent: async (request) => {
            if (world.queueFailure) throw world.queueFailure;
            event(request.eventId);
            world.terminations.push(request);
            return { positions: [{ partition: 2, endOffset: 7n }] };
          },
          purgeDeadLetter: async ({ eventId }) => {
            if (!world.deadLetters.delete(eventId)) throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: eventId });
            return { positions: [] };
          },
          countWaiting: async ({ byKey }) => waitingIn(world, byKey),
          watchOwnership: notHere,
        }),
      ],
      scheduler: inProcessClient(SchedulerServiceService, {
        dispatch: notHere,
        attach: notHere,
        getProvisioned: async ({ versions }) => ({
          versions: versions.map((version) => ({
            version,
            instances: world.provisioned,
            availableInstances: 1,
            startingInstances: 1,
            state: 2,
            reason: '1 are being started.',
          })),
        }),
        invoke: async (request) => {
          world.invocations.push(request);
          return world.invokeAnswer;
        },
        listAgents: async () => ({ agents: [Agent.create({ id: 'a1', capacityMb: 1024, state: 1 })], nextPageToken: '' }),
        noteFunctionChange: async () => ({}),
        renewLease: async () => ({}),
        drainAgent: async ({ agentId, deadline }) => {
          if (agentId !== 'a1') throw refuse('AGENT_NOT_FOUND', { agent_id: agentId });
          world.drains.push({ agentId, deadline });
          return { agent: Agent.create({ id: agentId, capacityMb: 1024, state: 2, drainDeadlineTime: new Date(0) }) };
        },
        listInstances: async ({ agentId }) => ({
          instances: [Instance.create({ id: 'i1', agentId: agentId || 'a1', state: 2 })],
          nextPageToken: '',
        }),
      }),
      eventStore: inProcessClient(EventStoreServiceService, {
        getHealth: async () => ({ faults: [] }),
        listPutAsideRecords: async () => ({ records: [], totalSize: 0n, nextPageToken: '' }),
        getEvent: async ({ eventId }) => ({ event: completeEvent(event(eventId)) }),
        getRequestDigests: async ({ eventIds }) => ({
          digests: eventIds.flatMap((eventId) => {
            const found = world.events.get(eventId);
            return found ? [{ eventId, requestSha256: found.requestSha256 ?? '' }] : [];
          }),
        }),
        listEvents: async (request) => {
          world.lists.push(request);
          if (request.pageToken === 'bad') throw refuse('INVALID_PAGE_TOKEN');
          return {
            events: [...world.events.values()].map(completeEvent),
            nextPageToken: 'next',
            ...(request.showTotalSize ? { totalSize: 7n } : {}),
            totalSizeIsEstimate: false,
          };
        },
        countEvents: async ({ function: fn }) => ({ counts: [{ function: fn || 'f1', state: 4, count: 7n }] }),
        purge: async ({ dryRun }) => ({ partitions: [], heldBack: dryRun ? '' : 'the clock was set' }),
        listEventsByOffset: async (request) => {
          world.lists.push(request);
          return { events: [...world.events.values()], totalCount: BigInt(world.events.size) };
        },
        watchEvent: ({ id, afterVersion }) => {
          event(id);
          const out = pushable<WatchEventResponse>();
          world.watches.push({ after: afterVersion, out });
          return out;
        },
        listLogLines: async ({ eventId }) => {
          event(eventId);
          return {
            lines: world.logLines
              ? [...world.logLines]
              : [LogLine.create({ time: new Date(0), stream: 3, attempt: 1, text: `START RequestId: ${eventId}` })],
            nextPageToken: '',
          };
        },
        tailLogLines: async function* ({ eventId, resumeToken }) {
          event(eventId);
          if (world.logLines) {
            yield { lines: [...world.logLines], resumeTokens: world.logLines.map((_, i) => String(i)) };
            return;
          }
          const texts = ['one', 'two'].slice(resumeToken === '' ? 0 : Number(resumeToken));
          const resumeTokens = texts.map((text) => (text === 'one' ? '1' : '2'));
          if (texts.length > 0)
            yield { lines: texts.map((text) => LogLine.create({ time: new Date(0), stream: 1, attempt: 1, text })), resumeTokens };
        },
        appendLogLines: notHere,
        getSnapshot: notHere,
        listQueuedEvents: notHere,
        listPendingDeliveries: notHere,
        listDeadLetters: async () => ({ deadLetters: [...world.deadLetters.values()].map(completeLetter), nextPageToken: 'next' }),
        getDeadLetter: async ({ id }) => {
          const deadLetter = world.deadLetters.get(id);
          if (!deadLetter) throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: id });
          return { deadLetter: completeLetter(deadLetter) };
        },
      }),
    },
  };
  return world;
}

/** A failure of the queue, for one test. */
export function failing(failure: Refusal | Error): (world: World) => void {
  return (world) => void (world.queueFailure = failure);
}
