import type { Attempt, Event } from '@evenfall/contracts/v1/event';
import { type LogLine, LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import {
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
  TerminationStep_Reception as Reception,
  type TerminationStep,
} from '@evenfall/contracts/v1/termination';
import { onOneLine, platformText, type Said } from './platform-text.ts';

/**
 * The platform's lines of an event's log are a rendering of its record, made when they are read: nothing is stored for them, and they can
 * never disagree with the status. Forms and order: semantics, after the log format of Tencent SCF.
 */
export type PlatformLine = Said & { readonly timeMs: number };

const MEGABYTE = 1024 * 1024;

/** What the log says before the function's own lines. Empty until the attempt has started. */
export function platformLinesBefore(eventId: string, attempt: Attempt): PlatformLine[] {
  const timeMs = attempt.startTime?.getTime();
  if (timeMs === undefined) return [];
  const lines: PlatformLine[] = [{ timeMs, stream: Stream.PLATFORM, text: `START RequestId: ${eventId}` }];
  const cold = attempt.coldStartDetail;
  if (cold) {
    const total = Math.round(cold.pullCodeMs + cold.initRuntimeMs + cold.initFunctionMs);
    const pull = cold.pullCodeMs > 0 ? `PullCode: ${Math.round(cold.pullCodeMs)}ms ` : '';
    const parts = `(${pull}InitRuntime: ${Math.round(cold.initRuntimeMs)}ms InitFunction: ${Math.round(cold.initFunctionMs)}ms)`;
    lines.push({
      timeMs,
      stream: Stream.PLATFORM,
      text: `${attempt.coldStart ? 'Init' : 'Provisioned'} Report RequestId: ${eventId} Coldstart: ${total}ms ${parts} Memory: ${attempt.memoryMb}MB MemUsage: ${megabytes(attempt)}MB`,
    });
  }
  return lines;
}

/** Every signal of an attempt, in order: those of a stop that nobody asked for, then those of the termination, which is of the last one. */
export function signalsOf(event: Event, attempt: Attempt): readonly TerminationStep[] {
  const asked = attempt.number === event.attempts.length ? (event.termination?.steps ?? []) : [];
  return attempt.stop ? [...attempt.stop.steps, ...asked] : asked;
}

/** What the log says once a signal was sent; undefined for SIGKILL, which no function receives. */
export function signalLine(step: TerminationStep): PlatformLine | undefined {
  if (step.signal === 9) return undefined;
  const isBlocked = step.disposition === Disposition.BLOCKED && step.reception !== Reception.TAKEN;
  const received = step.delivery === Delivery.DELIVERED && !isBlocked && step.disposition !== Disposition.IGNORED;
  return {
    timeMs: step.sentTime?.getTime() ?? 0,
    stream: Stream.PLATFORM,
    text: received ? '[PLATFORM] Signal received successfully' : '[PLATFORM] Signal reception failed',
  };
}

/** What the log says after the function's own lines. Empty until the attempt has ended. */
export function platformLinesAfter(eventId: string, attempt: Attempt, result: Buffer): PlatformLine[] {
  const timeMs = attempt.endTime?.getTime();
  if (timeMs === undefined) return [];
  const failed = attempt.error.length > 0;
  const answer = failed ? attempt.error : result;
  const said = [
    ...(failed ? platformText(`ERROR RequestId:${eventId} Result:`, errorText(attempt.error)) : []),
    ...[
      `Response RequestId:${eventId} RetMsg:${onOneLine(answer.toString('utf8'))}`,
      `END RequestId:${eventId}`,
      reportOf(eventId, attempt),
    ].map((text) => ({ stream: Stream.PLATFORM, text })),
  ];
  return said.map((line) => ({ timeMs, ...line }));
}

/** The line that closes an attempt. */
export function reportOf(eventId: string, attempt: Attempt): string {
  return `Report RequestId:${eventId} Duration:${Math.ceil(attempt.durationMs)}ms Memory:${attempt.memoryMb}MB MemUsage:${megabytes(attempt)}MB`;
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

function megabytes(attempt: Attempt): string {
  return (Number(attempt.memoryBytes) / MEGABYTE).toFixed(2);
}

/** The sentence inside an error's JSON, or all of it. */
function errorText(error: Buffer): string {
  const text = error.toString('utf8');
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) {
      const { stackTrace, errorMessage } = parsed as { stackTrace?: unknown; errorMessage?: unknown };
      if (typeof stackTrace === 'string' && stackTrace !== '') return stackTrace;
      if (typeof errorMessage === 'string') return errorMessage;
    }
  } catch {
    return text; // cut, or not ours: shown as it is
  }
  return text;
}
