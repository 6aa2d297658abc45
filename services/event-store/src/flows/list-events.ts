import { refuse } from '@evenfall/errors';
import { eventBytes } from '@evenfall/event-model';
import type { Event } from '@evenfall/contracts/v1/event';
import {
  EncodedListEventsResponse,
  type ListEventsByOffsetRequest,
  type ListEventsByOffsetResponse,
} from '@evenfall/contracts/event_store/v1/event_store_service';
import {
  type CountEventsRequest,
  type CountEventsResponse,
  ListEventsRequest,
  ListEventsResponse,
} from '@evenfall/contracts/v1/event_service';
import { encodedMessage } from '@evenfall/rpc';
import { isUuid } from '@evenfall/time';
import { PAGE_SIZES } from '@evenfall/function-model';
import { countThatFit, pageSizeOf } from '@evenfall/paging';
import { type PageKey, readPageToken, writePageToken } from '../domain/page-token.ts';
import type { EventTable, FoundEvent } from '../ports.ts';
import type { ReadBarrier } from './read-barrier.ts';

const NOTHING = Buffer.alloc(0);
/** Events a numbered page may have before it (event_store_service.proto). */
const MOST_BEFORE = 1_000_000;

/** Lists events of one function, everything accepted before the call among them. */
export async function listEvents(
  ports: { events: EventTable; barrier: ReadBarrier },
  request: ListEventsRequest,
): Promise<ListEventsResponse> {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.events);
  const after = request.pageToken === '' ? undefined : readPageToken(request, request.pageToken);
  if (request.pageToken !== '' && !after) throw refuse('INVALID_PAGE_TOKEN');
  await ports.barrier.caughtUp();
  const [found, total] = await Promise.all([
    ports.events.listEvents(request, after, size + 1),
    request.showTotalSize ? ports.events.totalSize(request) : undefined,
  ]);
  const count = Math.min(
    size,
    countThatFit(found, ({ data }) => data.length),
  );
  const last = found.length > count ? found[count - 1] : undefined;
  const response = EncodedListEventsResponse.encode({
    events: found.slice(0, count).map(({ data }) => data),
    nextPageToken: last
      ? writePageToken(request, { timeMs: last.timeMs, id: last.id, ended: endedBefore(found.slice(0, count), after) })
      : '',
    totalSize: total && BigInt(total.size),
    totalSizeIsEstimate: total?.isEstimate ?? false,
  });
  // Most lists are passed on as they are.
  return encodedMessage(response.finish(), (bytes) => ListEventsResponse.decode(bytes));
}

/** Where a page ends among events without a time: the last one with a time that the walk has shown. */
function endedBefore(page: readonly FoundEvent[], after: PageKey | undefined): PageKey['ended'] {
  if (page.at(-1)?.timeMs !== null) return undefined;
  const last = page.findLast(({ timeMs }) => timeMs !== null) ?? after;
  if (!last) return undefined;
  return last.timeMs === null ? after?.ended : { timeMs: last.timeMs, id: last.id };
}

/** Counts the events of one function, or of every one of a namespace, by state. */
export async function countEvents(
  ports: { events: EventTable; barrier: ReadBarrier },
  { namespace, function: fn }: CountEventsRequest,
): Promise<CountEventsResponse> {
  await ports.barrier.caughtUp();
  return { counts: [...(await ports.events.countEvents(namespace, fn))] };
}

/** A numbered page has as many events as were asked for: services take messages of 64 MiB from each other. */
const NUMBERED_PAGE_BYTES = 32 * 1024 * 1024;

/** The events themselves, or without the errors of their earlier attempts where all that would be too much. */
function fitting(events: readonly Event[]): Event[] {
  let bytes = 0;
  for (const event of events) bytes += eventBytes(event);
  if (bytes <= NUMBERED_PAGE_BYTES) return [...events];
  return events.map((event) => ({
    ...event,
    attempts: event.attempts.map((attempt) => ({ ...attempt, error: NOTHING, stop: undefined })),
  }));
}

/** Lists a numbered page of them, and counts them all, as of one moment. */
export async function listEventsByOffset(
  ports: { events: EventTable; barrier: ReadBarrier },
  { query = ListEventsRequest.create(), offset, eventId }: ListEventsByOffsetRequest,
): Promise<ListEventsByOffsetResponse> {
  const limit = pageSizeOf(query.pageSize, PAGE_SIZES.events);
  if (offset < 0 || offset > MOST_BEFORE)
    throw refuse('INVALID_FIELD', { field: 'offset', rule: `a whole number from 0 to ${MOST_BEFORE}` });
  if (query.pageToken !== '') throw refuse('INVALID_PAGE_TOKEN');
  if (eventId !== '' && !isUuid(eventId)) return { events: [], totalCount: 0n };
  await ports.barrier.caughtUp();
  const { events, totalCount } = await ports.events.listByOffset(query, {
    offset,
    limit,
    eventId: eventId === '' ? undefined : eventId,
  });
  return { events: fitting(events), totalCount: BigInt(totalCount) };
}
