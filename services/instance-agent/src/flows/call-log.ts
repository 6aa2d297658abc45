import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { quotedText, type Said } from '@evenfall/event-model';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { KillSignal, TerminationStep_Delivery as Delivery } from '@evenfall/contracts/v1/termination';
import { renderLogEnd, renderLogHead, tailOfLog } from '../domain/render-log.ts';
import { type Agent, type Attempt, type Instance, logGrantOf } from './agent.ts';

/** Bytes of a result or an error in its line: a line has 8 KB at most. */
const TEXT_BYTES = 4096;

/**
 * The log of a synchronous call. It leaves no event to render the platform's lines from, so they are stored around the function's own. A
 * call that writes nothing stores nothing: all there is to read is in the tail that its caller gets.
 */
export function beginCallLog(agent: Agent, instance: Instance, attempt: Attempt, timeMs: number): void {
  if (attempt.coldStart) instance.peakBytes = Math.max(instance.peakBytes, instance.process?.peakBytes() ?? 0);
  attempt.head = headOf(attempt, instance);
  for (const text of attempt.head) pushLine(agent, attempt, instance.id, { stream: Stream.PLATFORM, text }, timeMs);
}

/** Closes the log of a call that has ended. Answers its tail. */
export function endCallLog(agent: Agent, attempt: Attempt, ended: AttemptResult): string {
  const { instance } = attempt;
  const end = renderLogEnd({
    requestId: attempt.eventId,
    memoryMb: instance?.fn.memoryMb ?? 0,
    memoryBytes: Number(ended.memoryBytes),
    durationMs: ended.durationMs,
    platformLines: (attempt.stop?.steps ?? [])
      .filter(({ signal }) => signal !== KillSignal.SIGKILL) // nobody receives that
      .map(({ delivery }) => `[PLATFORM] Signal ${delivery === Delivery.DELIVERED ? 'received successfully' : 'reception failed'}`),
    result: ended.result.toString('utf8', 0, TEXT_BYTES),
    error: ended.error.toString('utf8', 0, TEXT_BYTES),
  });
  const timeMs = ended.endTime?.getTime() ?? agent.clock.now();
  if (attempt.lineCount > 0) for (const said of end) pushLine(agent, attempt, instance?.id ?? '', said, timeMs);
  return tailOfLog([...(attempt.head ?? headOf(attempt, instance)), ...(attempt.tail ?? []), ...end.map(quotedText)]);
}

function headOf(attempt: Attempt, instance: Instance | undefined): readonly string[] {
  return renderLogHead({
    requestId: attempt.eventId,
    coldStart: attempt.coldStart,
    ahead: attempt.ahead,
    memoryMb: instance?.fn.memoryMb ?? 0,
    memoryBytes: instance?.peakBytes ?? 0,
  });
}

function pushLine(agent: Agent, attempt: Attempt, instanceId: string, { stream, text }: Said, timeMs: number): void {
  attempt.lineCount += 1;
  const line = { time: new Date(timeMs), stream, attempt: attempt.number, instanceId, text };
  attempt.lastOrdinal = agent.logs.push({ eventId: attempt.eventId, sequence: attempt.lineCount, line }, logGrantOf(attempt));
}
