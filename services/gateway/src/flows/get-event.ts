import type { LogPosition } from '@evenfall/contracts/queue/v1/queue_service';
import type { Event } from '@evenfall/contracts/v1/event';
import { orThrow, refuse } from '@evenfall/errors';
import { eventIdOf } from '../domain/fields.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/** Gets one event, not older than the given positions of the log. */
export async function getEvent(gateway: Gateway, id: string, after: LogPosition[] = []): Promise<Event> {
  const known = orThrow(eventIdOf(id));
  const { event } = await gateway.eventStore.getEvent({ eventId: known, after }, { timeoutMs: TIMEOUTS_MS.read });
  if (!event) throw refuse('EVENT_NOT_FOUND', { event_id: known });
  return event;
}
