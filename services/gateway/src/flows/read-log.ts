import { invalidField, orThrow } from '@evenfall/errors';
import {
  type LogFilter,
  LogLine_Stream,
  type ListLogLinesRequest,
  type ListLogLinesResponse,
  type TailLogLinesRequest,
  type TailLogLinesResponse,
} from '@evenfall/contracts/v1/log_service';
import { PAGE_SIZES } from '@evenfall/function-model';
import { pageSizeOf } from '@evenfall/paging';
import { enumRefusal, eventIdOf, lengthRefusal, textRefusal } from '../domain/fields.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Caller, Gateway } from '../ports.ts';

/** Lists the log lines of one event in order. */
export async function listLogLines(gateway: Gateway, request: ListLogLinesRequest): Promise<ListLogLinesResponse> {
  const eventId = orThrow(eventIdOf(request.eventId));
  checkFilter(request.filter);
  const pageSize = pageSizeOf(request.pageSize, PAGE_SIZES.logLines);
  return gateway.eventStore.listLogLines({ ...request, eventId, pageSize }, { timeoutMs: TIMEOUTS_MS.read });
}

/** Sends the lines of one event as they come, until it has ended. */
export function tailLogLines(gateway: Gateway, caller: Caller, request: TailLogLinesRequest): AsyncIterable<TailLogLinesResponse> {
  checkFilter(request.filter);
  return gateway.eventStore.tailLogLines({ ...request, eventId: orThrow(eventIdOf(request.eventId)) }, { signal: caller.signal });
}

function checkFilter(filter: LogFilter | undefined): void {
  if (!filter) return;
  if (filter.attempt < 0) throw invalidField('attempt', 'the number of an attempt, from 1');
  orThrow(lengthRefusal('instance_id', filter.instanceId, 128));
  orThrow(lengthRefusal('contains', filter.contains, 256));
  orThrow(textRefusal('contains', filter.contains));
  for (const stream of filter.streams) orThrow(enumRefusal('streams', stream, LogLine_Stream));
}
