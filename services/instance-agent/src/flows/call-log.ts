import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { lineOfSignal, linesAfterRun, linesBeforeRun, quotedText, type Said } from '@evenfall/event-model';
import { tailOfLog } from '../domain/render-log.ts';
import { type Agent, type Attempt, type Instance, logGrantOf } from './agent.ts';

/**
 * The log of a synchronous call. It leaves no event to render the platform's lines from, so they are stored around the function's own. A
 * call that writes nothing stores nothing: all there is to read is in the tail that its caller gets.
 */
export function beginCallLog(agent: Agent, instance: Instance, attempt: Attempt, timeMs: number): void {
  if (attempt.coldStart) instance.peakBytes = Math.max(instance.peakBytes, instance.process?.peakBytes() ?? 0);
  attempt.head = headOf(attempt, instance);
  for (const line of attempt.head) pushLine(agent, attempt, instance.id, line, timeMs);
}

/** Closes the log of a call that has ended. Answers its tail. */
export function endCallLog(agent: Agent, attempt: Attempt, ended: AttemptResult): string {
  const { instance } = attempt;
  const signals = (attempt.stop?.steps ?? []).map(lineOfSignal).filter((line) => line !== undefined);
  const { memoryBytes, durationMs, result, error } = ended;
  const memoryMb = instance?.fn.memoryMb ?? 0;
  const end = [...signals, ...linesAfterRun({ requestId: attempt.eventId, memoryMb, memoryBytes, durationMs, result, error })];
  const timeMs = ended.endTime?.getTime() ?? agent.clock.now();
  if (attempt.lineCount > 0) for (const said of end) pushLine(agent, attempt, instance?.id ?? '', said, timeMs);
  const head = attempt.head ?? headOf(attempt, instance);
  return tailOfLog([...head.map(quotedText), ...(attempt.tail ?? []), ...end.map(quotedText)]);
}

function headOf(attempt: Attempt, instance: Instance | undefined): readonly Said[] {
  return linesBeforeRun({
    requestId: attempt.eventId,
    coldStart: attempt.coldStart,
    isAhead: attempt.ahead,
    memoryMb: instance?.fn.memoryMb ?? 0,
    memoryBytes: instance?.peakBytes ?? 0,
  });
}

function pushLine(agent: Agent, attempt: Attempt, instanceId: string, { stream, text }: Said, timeMs: number): void {
  attempt.lineCount += 1;
  const line = { time: new Date(timeMs), stream, attempt: attempt.number, instanceId, text };
  attempt.lastOrdinal = agent.logs.push({ eventId: attempt.eventId, sequence: attempt.lineCount, line }, logGrantOf(attempt));
}
