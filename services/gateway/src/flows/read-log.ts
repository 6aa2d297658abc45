import type {
  ListLogLinesRequest,
  ListLogLinesResponse,
  TailLogLinesRequest,
  TailLogLinesResponse,
} from '@evenfall/contracts/v1/log_service';
import { knownEventId, pageSizeOf } from '../domain/fields.ts';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Caller, Gateway } from '../ports.ts';

/** Lists the log lines of one event in order. */
export async function listLogLines(gateway: Gateway, request: ListLogLinesRequest): Promise<ListLogLinesResponse> {
  const eventId = knownEventId(request.eventId);
  const pageSize = pageSizeOf(request.pageSize, 1_000, 1_000);
  return gateway.eventStore.listLogLines({ eventId, pageSize, pageToken: request.pageToken }, { timeoutMs: LIMITS_MS.read });
}

/** Sends the lines of one event as they come, until it has ended. */
export function tailLogLines(gateway: Gateway, caller: Caller, request: TailLogLinesRequest): AsyncIterable<TailLogLinesResponse> {
  return gateway.eventStore.tailLogLines({ eventId: knownEventId(request.eventId) }, { signal: caller.signal });
}
