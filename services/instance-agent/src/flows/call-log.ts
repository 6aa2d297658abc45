import type { AttemptResult } from '@evenfall/contracts/attempt/v1/attempt';
import { lineOfSignal, linesAfterRun, linesBeforeRun, quotedText, type FunctionText } from '@evenfall/event-model';
import { tailOfLog } from '../domain/render-log.ts';
import type { Agent } from './agent.ts';
import { startOf } from './attempt.ts';
import { storeLine } from './attempt-lines.ts';
import { readPeakMemory } from './measure-memory.ts';
import type { Attempt, Instance, ReportingPhase } from './types.ts';

/**
 * Begins the log of a synchronous call. It leaves no event to render the platform's lines from, so they are stored around the function's own. A
 * call that writes nothing stores nothing: the tail that its caller receives is its complete log.
 */
export function beginCallLog(agent: Agent, instance: Instance, attempt: Attempt, timeMs: number): void {
  if (startOf(attempt)?.coldStart) readPeakMemory(instance);
  const head = headOf(attempt, instance);
  attempt.log.head = head;
  for (const { stream, text } of head) storeLine(agent, attempt, instance.id, stream, text, timeMs);
}

/** Closes the log of a call that has ended. Answers its tail. */
export function endCallLog(agent: Agent, attempt: Attempt, { instance, stop }: ReportingPhase, ended: AttemptResult): string {
  const { log } = attempt;
  const signals = (stop?.steps ?? []).map(lineOfSignal).filter((line) => line !== undefined);
  const { memoryBytes, durationMs, result, error } = ended;
  const memoryMb = instance?.fn.memoryMb ?? 0;
  const end = [...signals, ...linesAfterRun({ requestId: attempt.eventId, memoryMb, memoryBytes, durationMs, result, error })];
  const timeMs = ended.endTime?.getTime() ?? agent.clock.now();
  if (log.lineCount > 0) for (const { stream, text } of end) storeLine(agent, attempt, instance?.id ?? '', stream, text, timeMs);
  const head = log.head ?? headOf(attempt, instance);
  return tailOfLog([...head.map(quotedText), ...(log.tail ?? []), ...end.map(quotedText)]);
}

function headOf(attempt: Attempt, instance: Instance | undefined): readonly FunctionText[] {
  const start = startOf(attempt);
  return linesBeforeRun({
    requestId: attempt.eventId,
    coldStart: start?.coldStart,
    isAhead: start?.isAhead ?? false,
    memoryMb: instance?.fn.memoryMb ?? 0,
    memoryBytes: instance?.memory.peakBytes ?? 0,
  });
}
