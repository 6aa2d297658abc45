import { refuse } from '@evenfall/errors';
import type { Event } from '@evenfall/contracts/v1/event';
import {
  ListEventsRequest_OrderBy as OrderBy,
  type ListEventsRequest,
  type ListEventsResponse,
} from '@evenfall/contracts/v1/event_service';
import { readPageToken, writePageToken } from '../domain/page-token.ts';
import type { EventTable } from '../ports.ts';
import type { ReadBarrier } from './read-barrier.ts';

const MOST = 100;
const DEFAULT = 20;

/** Lists events of one function, everything accepted before the call among them. */
export async function listEvents(
  ports: { events: EventTable; barrier: ReadBarrier },
  request: ListEventsRequest,
): Promise<ListEventsResponse> {
  if (request.pageSize < 0) throw refuse('INVALID_FIELD', { field: 'page_size', rule: 'it must not be negative' });
  const after = request.pageToken === '' ? undefined : readPageToken(request, request.pageToken);
  if (request.pageToken !== '' && !after) throw refuse('INVALID_PAGE_TOKEN');
  const size = Math.min(request.pageSize || DEFAULT, MOST);
  await ports.barrier.caughtUp();
  const found = await ports.events.listEvents(request, after, size + 1);
  const events = found.slice(0, size);
  const last = found.length > size ? events[events.length - 1] : undefined;
  return {
    events,
    nextPageToken: last ? writePageToken(request, { timeMs: orderingTime(request, last), id: last.id }) : '',
  };
}

function orderingTime(request: ListEventsRequest, event: Event): number | null {
  if (request.orderBy === OrderBy.END_TIME) return event.endTime?.getTime() ?? null;
  return (event.startTime ?? event.createTime)?.getTime() ?? null;
}
