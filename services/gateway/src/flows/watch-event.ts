import type { WatchEventRequest, WatchEventResponse } from '@evenfall/contracts/v1/event_service';
import { refuse } from '@evenfall/errors';
import { knownEventId } from '../domain/fields.ts';
import type { Caller, Gateway } from '../ports.ts';

/** Sends the event as it stands and every change of it, until its final state or until the caller goes away. */
export function watchEvent(gateway: Gateway, caller: Caller, request: WatchEventRequest): AsyncIterable<WatchEventResponse> {
  if (request.afterVersion < 0) throw refuse('INVALID_FIELD', { field: 'after_version', rule: 'a whole number from 0' });
  return gateway.eventStore.watchEvent({ ...request, id: knownEventId(request.id) }, { signal: caller.signal });
}
