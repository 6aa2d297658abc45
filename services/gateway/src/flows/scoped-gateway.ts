import { type Access, type Action, allows, checkAccess, namespacesWith } from '@evenfall/access';
import type { GetConcurrencyResponse } from '@evenfall/contracts/registry/v1/registry_service';
import type { Event } from '@evenfall/contracts/v1/event';
import type { DeadLetter } from '@evenfall/contracts/v1/event_service';
import type { FunctionMessage } from '@evenfall/contracts/v1/function';
import type { ListInstancesRequest } from '@evenfall/contracts/v1/operator_service';
import { refuse } from '@evenfall/errors';
import { LISTS } from '@evenfall/paging';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Admit, Gateway } from '../ports.ts';
import { admittingGateway } from './admit-events.ts';
import { visiblePage } from './visible-page.ts';

const NOTHING = Buffer.alloc(0);
/** Shown instead of a value that the key may not read. */
export const HIDDEN = '(hidden)';

/**
 * Narrows the gateway to what a caller may see and do, so that no flow has to think of it. What a request names by its id alone is judged here, by the
 * namespace that it turns out to be of. An event of a namespace that the caller has no right to read in is answered as one that is not there; payloads,
 * results, errors and values of variables are left out where it has no right to them. What it sends is admitted first.
 */
export function scopedGateways(gateway: Gateway, admit: Admit): (access: Access) => Gateway {
  const made = new WeakMap<Access, Gateway>();
  return (access) => {
    let scoped = made.get(access);
    if (!scoped) made.set(access, (scoped = admittingGateway(scopedTo(gateway, access), access, admit)));
    return scoped;
  };
}

function scopedTo(gateway: Gateway, access: Access): Gateway {
  if (SCOPED.every((action) => isOfAll(access, action))) return gateway;
  const seesPayloads = (namespace: string): boolean => allows(access, 'events.read_payloads', namespace);
  const shown = <E extends Event | undefined>(event: E): E =>
    (event && !seesPayloads(event.namespace) ? withoutPayload(event) : event) as E; // the same shape
  return {
    ...gateway,
    functions: scopedFunctions(withoutSecrets(gateway.functions, access), access),
    eventStore: scopedEvents(gateway, access, shown, seesPayloads),
    queue: scopedQueue(gateway, access),
    ...scopedWorkers(gateway, access),
  };
}

/** Rights that are judged here. Who has all of them in all namespaces sees and does everything. */
const SCOPED = [
  ...(['functions.read', 'functions.read_secrets', 'functions.write', 'instances.read', 'logs.read'] as const),
  ...(['events.read', 'events.read_payloads', 'events.terminate'] as const),
  ...(['dead_letters.read', 'dead_letters.redrive', 'dead_letters.purge'] as const),
] satisfies readonly Action[];

function isOfAll(access: Access, action: Action): boolean {
  return namespacesWith(access, action) === 'all';
}

/** A destination makes events of another function: only of one in a namespace that the key is good for. */
function scopedFunctions(functions: Gateway['functions'], access: Access): Gateway['functions'] {
  if (isOfAll(access, 'functions.write')) return functions;
  const check = (fn: FunctionMessage | undefined): void => {
    for (const destination of [fn?.eventInvoke?.onSuccess, fn?.eventInvoke?.onFailure])
      if (destination?.target?.$case === 'function' && destination.target.value.namespace !== '')
        checkAccess(access, 'functions.write', destination.target.value.namespace);
  };
  return {
    ...functions,
    createFunction: async (...given) => {
      check(given[0].function);
      return functions.createFunction(...given);
    },
    updateFunction: async (...given) => {
      check(given[0].function);
      return functions.updateFunction(...given);
    },
  };
}

function withoutSecrets(functions: Gateway['functions'], access: Access): Gateway['functions'] {
  if (isOfAll(access, 'functions.read_secrets')) return functions;
  const shown = (fn: FunctionMessage): FunctionMessage => (allows(access, 'functions.read_secrets', fn.namespace) ? fn : withoutValues(fn));
  const one = <T extends { function?: FunctionMessage | undefined }>(answer: T): T => ({
    ...answer,
    function: answer.function && shown(answer.function),
  });
  const many = <T extends { functions: FunctionMessage[] }>(answer: T): T => ({
    ...answer,
    functions: answer.functions.map(shown),
  });
  return {
    ...functions,
    getFunction: async (...given) => one(await functions.getFunction(...given)),
    listFunctions: async (...given) => many(await functions.listFunctions(...given)),
    listFunctionVersions: async (...given) => many(await functions.listFunctionVersions(...given)),
  };
}

type Shown = <E extends Event | undefined>(event: E) => E;
type Sees = (namespace: string) => boolean;

function scopedEvents(gateway: Gateway, access: Access, shown: Shown, seesPayloads: Sees): Gateway['eventStore'] {
  const { eventStore } = gateway;
  const sees = (namespace: string): boolean => allows(access, 'events.read', namespace);
  const letter = (one: DeadLetter): DeadLetter =>
    seesPayloads(one.event?.namespace ?? '') ? one : { event: shown(one.event), payload: NOTHING };
  /** Of a synchronous call nothing but the log is kept: whose it was is not known, so that only a key of all namespaces reads it. */
  const checkLog = async (eventId: string): Promise<void> => {
    checkAccess(access, 'logs.read');
    if (!isOfAll(access, 'logs.read')) await checkEvent(gateway, access, 'logs.read', eventId);
  };
  return {
    ...eventStore,
    getEvent: async (...given) => {
      const answer = await eventStore.getEvent(...given);
      if (answer.event && !sees(answer.event.namespace)) throw notFound(given[0].eventId);
      return { ...answer, event: shown(answer.event) };
    },
    listEvents: async (...given) => {
      const answer = await eventStore.listEvents(...given);
      return { ...answer, events: answer.events.map(shown) };
    },
    listEventsByOffset: async (...given) => {
      const answer = await eventStore.listEventsByOffset(...given);
      return { ...answer, events: answer.events.map(shown) };
    },
    async *watchEvent(...given) {
      for await (const change of eventStore.watchEvent(...given)) {
        if (change.event && !sees(change.event.namespace)) throw notFound(given[0].id);
        yield { ...change, event: shown(change.event) };
      }
    },
    listDeadLetters: async (...given) => {
      const answer = await eventStore.listDeadLetters(...given);
      return { ...answer, deadLetters: answer.deadLetters.map(letter) };
    },
    getDeadLetter: async (...given) => {
      const { deadLetter } = await eventStore.getDeadLetter(...given);
      if (deadLetter?.event && !allows(access, 'dead_letters.read', deadLetter.event.namespace))
        throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: given[0].id });
      return { deadLetter: deadLetter && letter(deadLetter) };
    },
    listLogLines: async (...given) => {
      await checkLog(given[0].eventId);
      return eventStore.listLogLines(...given);
    },
    async *tailLogLines(...given) {
      await checkLog(given[0].eventId);
      yield* eventStore.tailLogLines(...given);
    },
  };
}

function scopedQueue(gateway: Gateway, access: Access): Gateway['queue'] {
  const { queue } = gateway;
  return {
    ...queue,
    // A dead letter is named by its id, as an event is. Other events name their namespace in the request, which was judged before.
    acceptEvents: async (...given) => {
      for (const { accepted } of given[0].events)
        if (accepted && accepted.redrivenFrom !== '') checkAccess(access, 'dead_letters.redrive', accepted.namespace);
      return queue.acceptEvents(...given);
    },
    purgeDeadLetter: async (...given) => {
      checkAccess(access, 'dead_letters.purge', given[0].namespace);
      return queue.purgeDeadLetter(...given);
    },
    terminateEvent: async (...given) => {
      if (!isOfAll(access, 'events.terminate')) await checkEvent(gateway, access, 'events.terminate', given[0].eventId);
      return queue.terminateEvent(...given);
    },
  };
}

function scopedWorkers({ scheduler, registry }: Gateway, access: Access): Pick<Gateway, 'scheduler' | 'registry'> {
  const sees = (namespace: string): boolean => allows(access, 'functions.read', namespace);
  return {
    scheduler: {
      ...scheduler,
      listInstances: async (request, options) => {
        if (isOfAll(access, 'instances.read')) return scheduler.listInstances(request, options);
        const all = async (page: Pick<ListInstancesRequest, 'pageSize' | 'pageToken'>) => {
          const { instances: items, nextPageToken } = await scheduler.listInstances({ ...request, ...page }, options);
          return { items, nextPageToken };
        };
        const { items, nextPageToken } = await visiblePage(request, all, {
          sees: ({ namespace }) => allows(access, 'instances.read', namespace),
          tokenOf: ({ startTime, id }) => [`${startTime?.getTime() ?? 0}/${id}`, LISTS.instances, request.agentId],
        });
        return { instances: [...items], nextPageToken };
      },
    },
    registry: {
      ...registry,
      getConcurrency: async (...given): Promise<GetConcurrencyResponse> => {
        const answer = await registry.getConcurrency(...given);
        if (isOfAll(access, 'functions.read')) return answer;
        return {
          ...answer,
          instanceQuotas: answer.instanceQuotas.filter(({ namespace }) => sees(namespace)),
          reservations: answer.reservations.filter(({ namespace }) => sees(namespace)),
          provisions: answer.provisions.filter(({ function: fn }) => fn !== undefined && sees(fn.namespace)),
        };
      },
    },
  };
}

/** Refuses an event that is not there, and one of a namespace that the caller has no right to read in, alike; then what it may not do with one that it may read. */
async function checkEvent({ eventStore }: Gateway, access: Access, action: Action, id: string): Promise<void> {
  const { event } = await eventStore.getEvent({ eventId: id, after: [] }, { timeoutMs: TIMEOUTS_MS.read });
  if (!event || !allows(access, 'events.read', event.namespace)) throw notFound(id);
  checkAccess(access, action, event.namespace);
}

function notFound(id: string) {
  return refuse('EVENT_NOT_FOUND', { event_id: id });
}

/** The digest of a request goes too: of a short payload it says as much as the payload. */
function withoutPayload(event: Event): Event {
  return {
    ...event,
    result: NOTHING,
    error: NOTHING,
    attempts: event.attempts.map((attempt) => ({ ...attempt, error: NOTHING })),
    requestSha256: undefined,
  };
}

function withoutValues(fn: FunctionMessage): FunctionMessage {
  return { ...fn, environment: Object.fromEntries(Object.keys(fn.environment).map((name) => [name, HIDDEN])) };
}
