import { refuse } from '@evenfall/errors';
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
import { checkEnum, checkLength, checkText, knownEventId } from '../domain/fields.ts';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Caller, Gateway } from '../ports.ts';

/** Lists the log lines of one event in order. */
export async function listLogLines(gateway: Gateway, request: ListLogLinesRequest): Promise<ListLogLinesResponse> {
  const eventId = knownEventId(request.eventId);
  checkFilter(request.filter);
  const pageSize = pageSizeOf(request.pageSize, PAGE_SIZES.logLines);
  return gateway.eventStore.listLogLines({ ...request, eventId, pageSize }, { timeoutMs: LIMITS_MS.read });
}

/** Sends the lines of one event as they come, until it has ended. */
export function tailLogLines(gateway: Gateway, caller: Caller, request: TailLogLinesRequest): AsyncIterable<TailLogLinesResponse> {
  checkFilter(request.filter);
  return gateway.eventStore.tailLogLines({ ...request, eventId: knownEventId(request.eventId) }, { signal: caller.signal });
}

function checkFilter(filter: LogFilter | undefined): void {
  if (!filter) return;
  if (filter.attempt < 0) throw refuse('INVALID_FIELD', { field: 'attempt', rule: 'the number of an attempt, from 1' });
  checkLength('instance_id', filter.instanceId, 128);
  checkLength('contains', filter.contains, 256);
  checkText('contains', filter.contains);
  for (const stream of filter.streams) checkEnum('streams', stream, LogLine_Stream);
}
