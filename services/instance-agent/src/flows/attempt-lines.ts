import type { LogGrant } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import type { Agent } from './agent.ts';
import { NO_GRANT } from './instance.ts';
import type { Attempt } from './types.ts';

/** Stores the next log line of an attempt. */
export function storeLine(agent: Agent, attempt: Attempt, instanceId: string, stream: Stream, text: string, timeMs: number): void {
  const { log } = attempt;
  log.lineCount += 1;
  const line = { time: new Date(timeMs), stream, attempt: attempt.attempt, instanceId, text };
  log.lastOrdinal = agent.logs.push({ eventId: attempt.eventId, sequence: log.lineCount, line }, logGrantOf(attempt));
}

/** What is sent with the lines of an attempt. */
function logGrantOf(attempt: Attempt): LogGrant {
  const { eventId, partition, log } = attempt;
  const grant = attempt.grant ?? NO_GRANT;
  if (log.grant?.grant !== grant) log.grant = { eventId, attempt: attempt.attempt, partition, codeSha256: undefined, grant };
  return log.grant;
}
