import { lineBytes, mergeLog } from '@evenfall/event-model';
import { refuse } from '@evenfall/errors';
import type { Event } from '@evenfall/contracts/v1/event';
import type { LogLine, ListLogLinesRequest, ListLogLinesResponse } from '@evenfall/contracts/v1/log_service';
import { passes, readLogToken, writeLogToken } from '../domain/log-filter.ts';
import { PAGE_SIZES } from '@evenfall/function-model';
import { countThatFit, pageSizeOf } from '@evenfall/paging';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable } from '../ports.ts';
import { readCallLog } from './call-log.ts';
import { findEvent, type GetPorts } from './get-event.ts';

/** Lines of one event that are read at the most; agents cut an attempt at 10,000. */
const READ_MOST = 200_000;

/** Lists the log of one event, or of one synchronous call. A token is the number of lines before the page: a log only grows at its end. */
export async function listLogLines(
  ports: GetPorts & { logs: LogTable; watchers: Watchers },
  request: ListLogLinesRequest,
  signal: AbortSignal,
): Promise<ListLogLinesResponse> {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.logLines);
  const { filter } = request;
  const skip = request.pageToken === '' ? 0 : readLogToken(request.pageToken, filter);
  if (skip === undefined) throw refuse('INVALID_PAGE_TOKEN');
  const event = await findEvent(ports, { eventId: request.eventId, after: [] });
  const all = event ? await eventLog(ports.logs, event) : await callLog(ports, request.eventId, signal);
  const lines = filter ? all.filter((line) => passes(line, filter)) : all;
  const wanted = lines.slice(skip, skip + size);
  const page = wanted.slice(0, countThatFit(wanted, lineBytes));
  const end = skip + page.length;
  return { lines: page, nextPageToken: end < lines.length ? writeLogToken(end, filter) : '' };
}

async function eventLog(logs: LogTable, event: Event): Promise<LogLine[]> {
  const own = await logs.list(event.id, { attempt: 0, sequence: 0 }, READ_MOST);
  return mergeLog(
    event,
    own.map((one) => one.line),
  );
}

async function callLog(ports: { logs: LogTable; watchers: Watchers }, eventId: string, signal: AbortSignal): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  for await (const some of readCallLog(ports, eventId, false, signal)) lines.push(...some.map(({ line }) => line));
  return lines;
}
