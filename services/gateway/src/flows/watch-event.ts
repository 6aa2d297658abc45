import type { WatchEventRequest, WatchEventResponse } from '@evenfall/contracts/v1/event_service';
import { invalidField, orThrow } from '@evenfall/errors';
import { eventIdOf } from '../domain/fields.ts';
import type { Caller, Gateway } from '../ports.ts';

/** Sends the event as it is and every change of it, until its final state or until the caller disconnects. */
export function watchEvent(gateway: Gateway, caller: Caller, request: WatchEventRequest): AsyncIterable<WatchEventResponse> {
  if (request.afterVersion < 0) throw invalidField('after_version', 'a whole number from 0');
  return gateway.eventStore.watchEvent({ ...request, id: orThrow(eventIdOf(request.id)) }, { signal: caller.signal });
}
