import { refuse } from '@evenfall/errors';
import { isUuid } from '@evenfall/time';
import type { Event } from '@evenfall/contracts/v1/event';
import type { GetEventRequest, GetEventResponse } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { Pending } from '../domain/watchers.ts';
import type { EventTable } from '../ports.ts';
import type { ReadBarrier } from './read-barrier.ts';

export type GetPorts = {
  readonly events: EventTable;
  readonly barrier: ReadBarrier;
  readonly pending: (id: string) => Pending | undefined;
};

/** Gets one event. A miss counts only once the view has caught up with the log. */
export async function getEvent(ports: GetPorts, request: GetEventRequest): Promise<GetEventResponse> {
  const event = await findEvent(ports, request);
  if (!event) throw refuse('EVENT_NOT_FOUND', { event_id: request.eventId });
  return { event };
}

/** The same, but a miss is no refusal. */
export async function findEvent(ports: GetPorts, request: GetEventRequest): Promise<Event | undefined> {
  const { eventId: id, after } = request;
  if (!isUuid(id)) throw refuse('EVENT_NOT_FOUND', { event_id: id.slice(0, 64) });
  await ports.pending(id)?.written();
  await ports.barrier.steady();
  if (after.length > 0) await ports.barrier.reached(new Map(after.map((position) => [position.partition, Number(position.endOffset)])));
  const found = await ports.events.getEvent(id);
  if (found) return found;
  await ports.barrier.caughtUp();
  return ports.events.getEvent(id);
}
