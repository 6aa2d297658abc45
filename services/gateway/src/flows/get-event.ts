import type { LogPosition } from '@evenfall/contracts/queue/v1/queue_service';
import type { Event } from '@evenfall/contracts/v1/event';
import { refuse } from '@evenfall/errors';
import { knownEventId } from '../domain/fields.ts';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Gateway } from '../ports.ts';

/** Gets one event, not older than the given positions of the log. */
export async function getEvent(gateway: Gateway, id: string, after: LogPosition[] = []): Promise<Event> {
  const known = knownEventId(id);
  const { event } = await gateway.eventStore.getEvent({ eventId: known, after }, { timeoutMs: LIMITS_MS.read });
  if (!event) throw refuse('EVENT_NOT_FOUND', { event_id: known });
  return event;
}
