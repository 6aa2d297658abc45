import type { EventStoreServiceService, OpenEvent as OpenEventMessage } from '@evenfall/contracts/event_store/v1/event_store_service';
import { isRefusal } from '@evenfall/errors';
import type { ClientOf } from '@evenfall/rpc';
import type { After, EventView, OpenEvent } from '../ports.ts';

const TIMEOUT_MS = 15_000;

/** The event-store, as the queue sees it. */
export function createEventView(eventStore: ClientOf<EventStoreServiceService>): EventView {
  return {
    async *snapshot(after) {
      const partitions = after.map(({ partition }) => partition);
      for await (const part of eventStore.getSnapshot({ partitions, after: after.map(positionOf) })) {
        const positions = part.positions.map(({ partition, endOffset, owner, ownerLogTime }) => ({
          partition,
          endOffset: Number(endOffset),
          owner,
          ownerLogMs: ownerLogTime?.getTime(),
        }));
        yield { positions, events: part.events.flatMap(queuedEvents), pendingDeliveries: part.pendingDeliveries };
      }
    },
    async listQueued(lane, afterOffset, limit, after) {
      const request = { ...lane, afterOffset: BigInt(afterOffset), limit, eventId: '', after: [positionOf(after)] };
      const { events, hasMore } = await eventStore.listQueuedEvents(request, { timeoutMs: TIMEOUT_MS });
      return { events: events.flatMap(queuedEvents), hasMore };
    },
    async getQueued(lane, eventId, after) {
      const request = { ...lane, afterOffset: 0n, limit: 1, eventId, after: [positionOf(after)] };
      return (await eventStore.listQueuedEvents(request, { timeoutMs: TIMEOUT_MS })).events.flatMap(queuedEvents)[0];
    },
    async listPendingDeliveries(query, after) {
      const page = await eventStore.listPendingDeliveries({ ...query, after: [positionOf(after)] }, { timeoutMs: TIMEOUT_MS });
      return { pendingDeliveries: page.events, hasMore: page.hasMore };
    },
    async get(id, after) {
      try {
        return (await eventStore.getEvent({ eventId: id, after: after ? [positionOf(after)] : [] }, { timeoutMs: TIMEOUT_MS })).event;
      } catch (error) {
        if (isRefusal(error) && error.reason === 'EVENT_NOT_FOUND') return undefined;
        throw error;
      }
    },
  };
}

function positionOf({ partition, endOffset }: After): { partition: number; endOffset: bigint } {
  return { partition, endOffset: BigInt(endOffset) };
}

function queuedEvents({ folded, acceptOffset }: OpenEventMessage): OpenEvent[] {
  return folded ? [{ folded, acceptOffset: Number(acceptOffset) }] : [];
}
