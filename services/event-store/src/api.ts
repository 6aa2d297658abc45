import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { LogPosition } from '@evenfall/contracts/queue/v1/queue_service';
import { refuse } from '@evenfall/errors';
import { checkAgent } from '@evenfall/grants';
import { postgresRefusal } from '@evenfall/postgres';
import { CALLER_HEADER, type Implementation } from '@evenfall/rpc';
import { isUuid } from '@evenfall/time';
import type { Pending } from './domain/watchers.ts';
import { appendLogLines, type LinePorts } from './flows/append-log-lines.ts';
import { getDeadLetter, listDeadLetters } from './flows/dead-letters.ts';
import { getEvent } from './flows/get-event.ts';
import { countEvents, listEvents, listEventsByOffset } from './flows/list-events.ts';
import { listLogLines } from './flows/list-log-lines.ts';
import { listPutAside } from './flows/list-put-aside.ts';
import type { Keeper } from './flows/purge.ts';
import type { ReadBarrier } from './flows/read-barrier.ts';
import { tailLogLines } from './flows/tail-log-lines.ts';
import { watchEvent } from './flows/watch-event.ts';
import type { DeadLetterTable, EventTable, PutAsideTable } from './ports.ts';

export type ApiPorts = LinePorts & {
  readonly events: EventTable;
  readonly deadLetters: DeadLetterTable;
  readonly aside: PutAsideTable;
  /** What keeps events from being read. */
  readonly faults: () => readonly string[];
  readonly keeper: Keeper;
  readonly barrier: ReadBarrier;
  /** What is about to be written of an event; those who watch may know of it already. */
  readonly pending: (id: string) => Pending | undefined;
};

/** What others may ask of the event-store. A lost database is VIEW_UNAVAILABLE. */
export function createApi(ports: ApiPorts): Implementation<EventStoreServiceService> {
  return {
    getEvent: (request) => orUnavailable(getEvent(ports, request)),
    async getRequestDigests({ eventIds, after }) {
      if (eventIds.length > 1_000) throw refuse('INVALID_FIELD', { field: 'event_ids', rule: 'at most 1000' });
      await foldedUpTo(ports.barrier, after);
      for (const eventId of eventIds) await ports.pending(eventId)?.written();
      const found = await orUnavailable(ports.events.getManyVersioned(eventIds.filter(isUuid)));
      return { digests: found.map(({ event }) => ({ eventId: event.id, requestSha256: event.requestSha256 ?? '' })) };
    },
    listEvents: (request) => orUnavailable(listEvents(ports, request)),
    listEventsByOffset: (request) => orUnavailable(listEventsByOffset(ports, request)),
    countEvents: (request) => orUnavailable(countEvents(ports, request)),
    purge: (request) => orUnavailable(ports.keeper.purge(request), PURGE_WITHIN_MS),
    watchEvent: (request, { signal }) => eachOrUnavailable(watchEvent(ports, request, signal)),
    listLogLines: (request, { signal }) => orUnavailable(listLogLines(ports, request, signal)),
    tailLogLines: (request, { signal }) => eachOrUnavailable(tailLogLines(ports, request, signal)),
    async appendLogLines(request, { header }) {
      checkAgent(header(CALLER_HEADER), request.agentId, 'event-store');
      return orUnavailable(appendLogLines(ports, request));
    },
    listDeadLetters: (request) => orUnavailable(listDeadLetters(ports, request)),
    listPutAsideRecords: (request) => orUnavailable(listPutAside(ports, request)),
    getHealth: () => Promise.resolve({ faults: [...ports.faults()] }),
    getDeadLetter: async ({ id }) => ({ deadLetter: await orUnavailable(getDeadLetter(ports, id)) }),
    async *getSnapshot({ partitions, after }) {
      await foldedUpTo(ports.barrier, after);
      for await (const { positions, events, pendingDeliveries } of eachOrUnavailable(ports.events.snapshot(partitions))) {
        yield {
          positions: positions.map(({ partition, endOffset, owner, ownerLogMs: timeMs }) => ({
            partition,
            endOffset: BigInt(endOffset),
            owner,
            ownerLogTime: timeMs === undefined ? undefined : new Date(timeMs),
          })),
          events: [...events],
          pendingDeliveries: [...pendingDeliveries],
        };
      }
    },
    async listQueuedEvents({ after, eventId, afterOffset, limit, ...lane }) {
      await foldedUpTo(ports.barrier, after);
      if (eventId === '') {
        const { events, hasMore } = await orUnavailable(ports.events.listQueued(lane, Number(afterOffset), limit));
        return { events: [...events], hasMore };
      }
      const event = await orUnavailable(ports.events.getQueued(lane, eventId));
      return { events: event ? [event] : [], hasMore: false };
    },
    async listPendingDeliveries({ after, ...query }) {
      await foldedUpTo(ports.barrier, after);
      const { pendingDeliveries, hasMore } = await orUnavailable(ports.events.listPendingDeliveries(query));
      return { events: [...pendingDeliveries], hasMore };
    },
  };
}

async function foldedUpTo(barrier: ReadBarrier, positions: readonly LogPosition[]): Promise<void> {
  await barrier.steady();
  await barrier.reached(new Map(positions.map(({ partition, endOffset }) => [partition, Number(endOffset)])));
}

/** Longer than any read takes of a database that is there, shorter than those who ask wait. */
const WITHIN_MS = 12_000;
/** Waits for partitions that are in use. */
const PURGE_WITHIN_MS = 55_000;

async function orUnavailable<T>(answer: Promise<T>, withinMs = WITHIN_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(refuse('VIEW_UNAVAILABLE', { detail: 'the database does not answer' })), withinMs);
  });
  try {
    return await Promise.race([answer, late]);
  } catch (error) {
    answer.catch(() => undefined); // it may still fail, with no caller left
    throw postgresRefusal(error, 'VIEW_UNAVAILABLE');
  } finally {
    clearTimeout(timer);
  }
}

async function* eachOrUnavailable<T>(answers: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* answers;
  } catch (error) {
    throw postgresRefusal(error, 'VIEW_UNAVAILABLE');
  }
}
