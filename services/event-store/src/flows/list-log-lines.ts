import { mergeLog } from '@evenfall/event-model';
import { refuse } from '@evenfall/errors';
import type { LogLine, ListLogLinesRequest, ListLogLinesResponse } from '@evenfall/contracts/v1/log_service';
import type { EventTable, LogTable } from '../ports.ts';
import { getEvent } from './get-event.ts';
import type { ReadBarrier } from './read-barrier.ts';

const MOST = 1_000;
/** Lines of one event that are read at the most; agents cut an attempt at 10,000. */
const READ_MOST = 200_000;

/** Lists the log of one event. A token is the number of lines before the page: a log only grows at its end. */
export async function listLogLines(
  ports: { events: EventTable; logs: LogTable; barrier: ReadBarrier },
  request: ListLogLinesRequest,
): Promise<ListLogLinesResponse> {
  if (request.pageSize < 0) throw refuse('INVALID_FIELD', { field: 'page_size', rule: 'it must not be negative' });
  const skip = request.pageToken === '' ? 0 : readToken(request.pageToken);
  const size = Math.min(request.pageSize || MOST, MOST);
  const { event } = await getEvent(ports, { id: request.eventId, after: [] });
  if (!event) throw refuse('EVENT_NOT_FOUND', { event_id: request.eventId });
  const own = await ports.logs.list(event.id, { attempt: 0, sequence: 0 }, READ_MOST);
  const lines: LogLine[] = mergeLog(
    event,
    own.map((one) => one.line),
  );
  const page = lines.slice(skip, skip + size);
  return { lines: page, nextPageToken: skip + size < lines.length ? writeToken(skip + size) : '' };
}

function writeToken(skip: number): string {
  return Buffer.from(`log:${skip}`).toString('base64url');
}

function readToken(token: string): number {
  const match = /^log:(\d{1,9})$/.exec(Buffer.from(token, 'base64url').toString('utf8'));
  if (!match) throw refuse('INVALID_PAGE_TOKEN');
  return Number(match[1]);
}
