import type { Attempt, Event } from '@evenfall/contracts/v1/event';
import type { LogLine } from '@evenfall/contracts/v1/log_service';
import type { TerminationStep } from '@evenfall/contracts/v1/termination';
import type { FunctionText } from './platform-text.ts';
import { lineOfSignal, linesAfterRun, linesBeforeRun } from './run-lines.ts';

/**
 * The platform's lines of an event's log are a rendering of its record, made when they are read: nothing is stored for them, and they can
 * never disagree with the status.
 */
export type PlatformLine = FunctionText & { readonly timeMs: number };

/** What the log says before the function's own lines. Empty until the attempt has started. */
export function platformLinesBefore(eventId: string, attempt: Attempt): PlatformLine[] {
  const { coldStartDetail: coldStart, memoryMb, memoryBytes } = attempt;
  const lines = linesBeforeRun({ requestId: eventId, coldStart, isAhead: !attempt.coldStart, memoryMb, memoryBytes });
  return timed(attempt.startTime, lines);
}

/** Every signal of an attempt, in order: those of a stop without a request, then those of the termination, which is of the last one. */
export function signalsOf(event: Event, attempt: Attempt): readonly TerminationStep[] {
  const asked = attempt.number === event.attempts.length ? (event.termination?.steps ?? []) : [];
  return attempt.stop ? [...attempt.stop.steps, ...asked] : asked;
}

/** What the log says once a signal was sent; undefined for SIGKILL, which no function receives. */
export function signalLine(step: TerminationStep): PlatformLine | undefined {
  const line = lineOfSignal(step);
  return line && { timeMs: step.sentTime?.getTime() ?? 0, ...line };
}

/** What the log says after the function's own lines. Empty until the attempt has ended. */
export function platformLinesAfter(eventId: string, attempt: Attempt, result: Buffer): PlatformLine[] {
  const { memoryMb, memoryBytes, durationMs, error } = attempt;
  return timed(attempt.endTime, linesAfterRun({ requestId: eventId, memoryMb, memoryBytes, durationMs, result, error }));
}

/** The whole log of an event: the platform's lines around and, by time, among the function's own. `own` is in order within an attempt. */
export function mergeLog(event: Event, own: readonly LogLine[]): LogLine[] {
  const lines: LogLine[] = [];
  for (const attempt of event.attempts) {
    const last = attempt.number === event.attempts.length;
    const put = ({ timeMs, stream, text }: PlatformLine): void => {
      lines.push({ time: new Date(timeMs), stream, attempt: attempt.number, instanceId: attempt.instanceId, text });
    };
    platformLinesBefore(event.id, attempt).forEach(put);
    const signals = signalsOf(event, attempt)
      .map(signalLine)
      .filter((line) => line !== undefined);
    for (const line of own) {
      if (line.attempt !== attempt.number) continue;
      while (signals[0] && signals[0].timeMs <= (line.time?.getTime() ?? 0)) put(signals.shift() as PlatformLine);
      lines.push(line);
    }
    signals.forEach(put);
    platformLinesAfter(event.id, attempt, last ? event.result : Buffer.alloc(0)).forEach(put);
  }
  return lines;
}

function timed(time: Date | undefined, lines: readonly FunctionText[]): PlatformLine[] {
  return time ? lines.map((line) => ({ timeMs: time.getTime(), ...line })) : [];
}
