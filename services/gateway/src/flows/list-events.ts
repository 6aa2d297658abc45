import type { ListEventsByOffsetRequest, ListEventsByOffsetResponse } from '@evenfall/contracts/event_store/v1/event_store_service';
import { Event_State } from '@evenfall/contracts/v1/event';
import {
  type CountEventsRequest,
  type CountEventsResponse,
  type ListEventsRequest,
  ListEventsRequest_Order,
  ListEventsRequest_OrderBy,
  type ListEventsResponse,
} from '@evenfall/contracts/v1/event_service';
import { orThrow } from '@evenfall/errors';
import { completeQualifier, DEFAULT_QUALIFIER, functionNameRefusal, LATEST, namespaceRefusal, PAGE_SIZES } from '@evenfall/function-model';
import { pageSizeOf } from '@evenfall/paging';
import { enumRefusal, textRefusal, timeRefusal } from '../domain/fields.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/** Lists events of one function. One that does not exist (any more) may still have events. */
export async function listEvents(gateway: Gateway, request: ListEventsRequest): Promise<ListEventsResponse> {
  return gateway.eventStore.listEvents(checkedQuery(request), { timeoutMs: TIMEOUTS_MS.read });
}

/** The same by the number of the first event, with the number of all that match. */
export async function listEventsByOffset(
  gateway: Gateway,
  request: ListEventsByOffsetRequest & { readonly query: ListEventsRequest },
): Promise<ListEventsByOffsetResponse> {
  return gateway.eventStore.listEventsByOffset({ ...request, query: checkedQuery(request.query) }, { timeoutMs: TIMEOUTS_MS.read });
}

/** Counts events by state: of one function, or of every one of a namespace. */
export async function countEvents(gateway: Gateway, request: CountEventsRequest): Promise<CountEventsResponse> {
  if (request.function === '') orThrow(namespaceRefusal(request.namespace));
  else orThrow(functionNameRefusal(request.namespace, request.function));
  return gateway.eventStore.countEvents(request, { timeoutMs: TIMEOUTS_MS.read });
}

function checkedQuery(request: ListEventsRequest): ListEventsRequest {
  orThrow(functionNameRefusal(request.namespace, request.function));
  for (const state of request.states) orThrow(enumRefusal('states', state, Event_State));
  orThrow(enumRefusal('order_by', request.orderBy, ListEventsRequest_OrderBy));
  orThrow(enumRefusal('order', request.order, ListEventsRequest_Order));
  const qualifier = request.qualifier === '' ? '' : orThrow(completeQualifier(request.qualifier));
  orThrow(textRefusal('trigger', request.trigger));
  orThrow(timeRefusal('start_time_after', request.startTimeAfter));
  orThrow(timeRefusal('start_time_before', request.startTimeBefore));
  orThrow(timeRefusal('end_time_after', request.endTimeAfter));
  orThrow(timeRefusal('end_time_before', request.endTimeBefore));
  // Events are found by their version; the default qualifier means the newest one.
  return {
    ...request,
    qualifier: qualifier === DEFAULT_QUALIFIER ? LATEST : qualifier,
    pageSize: pageSizeOf(request.pageSize, PAGE_SIZES.events),
  };
}
