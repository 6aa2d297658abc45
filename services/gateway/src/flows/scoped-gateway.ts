import { type Access, checkAccess, covers, hasRight } from '@evenfall/access';
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
/** What stands in place of a value that the key may not read. */
export const HIDDEN = '(hidden)';

/**
 * Narrows the gateway to what a key may see, so that no flow has to think of it. Of an event whose namespace the key is not good for is said what is said
 * of one that is not there; payloads, results, errors and values of variables are left out for those who have no right to them. What the key sends is
 * admitted first.
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
  const seesPayloads = hasRight(access, 'events.read_payloads');
  const seesSecrets = hasRight(access, 'functions.read_secrets');
  const isOfAll = access.namespaces === 'all';
  if (isOfAll && seesPayloads && seesSecrets) return gateway;
  const sees = (namespace: string): boolean => covers(access, namespace);
  const shown = <E extends Event | undefined>(event: E): E => (event && !seesPayloads ? withoutPayload(event) : event) as E; // the same shape
  return {
    ...gateway,
    functions: scopedFunctions(seesSecrets ? gateway.functions : withoutSecrets(gateway.functions), access),
    eventStore: scopedEvents(gateway, access, sees, shown, seesPayloads),
    queue: isOfAll ? gateway.queue : scopedQueue(gateway, sees),
    ...(isOfAll ? {} : scopedWorkers(gateway, sees)),
  };
}

/** A destination makes events of another function: only of one in a namespace that the key is good for. */
function scopedFunctions(functions: Gateway['functions'], access: Access): Gateway['functions'] {
  if (access.namespaces === 'all') return functions;
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

function withoutSecrets(functions: Gateway['functions']): Gateway['functions'] {
  const one = <T extends { function?: FunctionMessage | undefined }>(answer: T): T => ({
    ...answer,
    function: answer.function && withoutValues(answer.function),
  });
  const many = <T extends { functions: FunctionMessage[] }>(answer: T): T => ({
    ...answer,
    functions: answer.functions.map(withoutValues),
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

function scopedEvents(gateway: Gateway, access: Access, sees: Sees, shown: Shown, seesPayloads: boolean): Gateway['eventStore'] {
  const { eventStore } = gateway;
  const letter = (one: DeadLetter): DeadLetter => (seesPayloads ? one : { event: shown(one.event), payload: NOTHING });
  /** Of a synchronous call nothing but the log is kept: whose it was is not known, so that only a key of all namespaces reads it. */
  const checkLog = async (eventId: string): Promise<void> => {
    checkAccess(access, 'logs.read');
    if (access.namespaces !== 'all') await checkEvent(gateway, sees, eventId);
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
      if (deadLetter?.event && !sees(deadLetter.event.namespace)) throw refuse('DEAD_LETTER_NOT_FOUND', { event_id: given[0].id });
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

function scopedQueue(gateway: Gateway, sees: Sees): Gateway['queue'] {
  return {
    ...gateway.queue,
    terminateEvent: async (...given) => {
      await checkEvent(gateway, sees, given[0].eventId);
      return gateway.queue.terminateEvent(...given);
    },
  };
}

function scopedWorkers({ scheduler, registry }: Gateway, sees: Sees): Pick<Gateway, 'scheduler' | 'registry'> {
  return {
    scheduler: {
      ...scheduler,
      listInstances: async (request, options) => {
        const all = async (page: Pick<ListInstancesRequest, 'pageSize' | 'pageToken'>) => {
          const { instances: items, nextPageToken } = await scheduler.listInstances({ ...request, ...page }, options);
          return { items, nextPageToken };
        };
        const { items, nextPageToken } = await visiblePage(request, all, {
          sees: ({ namespace }) => sees(namespace),
          tokenOf: ({ startTime, id }) => [`${startTime?.getTime() ?? 0}/${id}`, LISTS.instances, request.agentId],
        });
        return { instances: [...items], nextPageToken };
      },
    },
    registry: {
      ...registry,
      getConcurrency: async (...given): Promise<GetConcurrencyResponse> => {
        const answer = await registry.getConcurrency(...given);
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

/** Refuses an event that is not there, and one that is of another namespace, alike. */
async function checkEvent({ eventStore }: Gateway, sees: Sees, id: string): Promise<void> {
  const { event } = await eventStore.getEvent({ eventId: id, after: [] }, { timeoutMs: TIMEOUTS_MS.read });
  if (!event || !sees(event.namespace)) throw notFound(id);
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
