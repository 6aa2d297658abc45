import type { EventStoreServiceService } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { isRefusal } from '@evenfall/errors';
import type { ClientOf } from '@evenfall/rpc';
import type { EventView } from '../ports.ts';

/** The event-store, as the queue sees it. */
export function createEventView(eventStore: ClientOf<EventStoreServiceService>): EventView {
  return {
    async snapshot(partitions) {
      const positions = new Map<number, { endOffset: number; owner: string }>();
      const events: StoredEvent[] = [];
      for await (const part of eventStore.getSnapshot({ partitions: [...partitions] })) {
        for (const { partition, endOffset, owner } of part.positions) positions.set(partition, { endOffset: Number(endOffset), owner });
        for (const event of part.events) events.push(event);
      }
      for (const partition of partitions) if (!positions.has(partition)) positions.set(partition, { endOffset: 0, owner: '' });
      return { positions, events };
    },
    async get(id, after) {
      try {
        const positions = after ? [{ partition: after.partition, endOffset: BigInt(after.endOffset) }] : [];
        return (await eventStore.getEvent({ id, after: positions }, { timeoutMs: 15_000 })).event;
      } catch (error) {
        if (isRefusal(error) && error.reason === 'EVENT_NOT_FOUND') return undefined;
        throw error;
      }
    },
  };
}
