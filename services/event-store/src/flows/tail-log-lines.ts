import { isFinal, platformLinesAfter, platformLinesBefore, type PlatformLine, signalLine, signalsOf } from '@evenfall/event-model';
import type { Attempt } from '@evenfall/contracts/v1/event';
import {
  type LogLine,
  LogLine_Stream as Stream,
  type TailLogLinesRequest,
  type TailLogLinesResponse,
} from '@evenfall/contracts/v1/log_service';
import { passes } from '../domain/log-filter.ts';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable } from '../ports.ts';
import { readCallLog } from './call-log.ts';
import { findEvent, type GetPorts } from './get-event.ts';
import { wakeable } from './wakeable.ts';

const LOOK_MS = 1_000;
const BATCH = 1_000;

/** Sends the log of one event, or of one synchronous call, as it grows, and ends with it. Platform lines come where they happen. */
export async function* tailLogLines(
  ports: GetPorts & { logs: LogTable; watchers: Watchers },
  { eventId, filter }: TailLogLinesRequest,
  signal: AbortSignal,
): AsyncGenerator<TailLogLinesResponse> {
  const those = (lines: readonly LogLine[]): LogLine[] => lines.filter((line) => passes(line, filter));
  let event = await findEvent(ports, { id: eventId, after: [] });
  if (!event) {
    for await (const lines of readCallLog(ports, eventId, true, signal)) yield { lines: those(lines) };
    return;
  }
  const wake = wakeable(signal);
  const leave = ports.watchers.watch(eventId, () => wake.rouse());
  let attempts = 0; // attempts told to their end
  let begun = false;
  let signals = 0;
  let place = { attempt: 0, sequence: 0 };
  try {
    while (event && !signal.aborted) {
      const lines: LogLine[] = [];
      for (const attempt of event.attempts.slice(attempts)) {
        const last = attempt.number === event.attempts.length;
        if (!begun) lines.push(...platform(attempt, platformLinesBefore(eventId, attempt)));
        begun = true;
        for (;;) {
          const own = await ports.logs.list(eventId, place, BATCH);
          const mine = own.filter(({ line }) => line.attempt === attempt.number);
          lines.push(...mine.map(({ line }) => line));
          const end = mine[mine.length - 1];
          if (end) place = { attempt: end.line.attempt, sequence: end.sequence };
          if (mine.length < BATCH) break;
        }
        const steps = signalsOf(event, attempt).slice(signals);
        signals += steps.length;
        lines.push(
          ...platform(
            attempt,
            steps.map(signalLine).filter((line) => line !== undefined),
          ),
        );
        if (!attempt.endTime) break;
        lines.push(...platform(attempt, platformLinesAfter(eventId, attempt, last ? event.result : Buffer.alloc(0))));
        attempts = attempt.number;
        signals = 0;
        begun = false;
      }
      const passed = those(lines);
      if (passed.length > 0) yield { lines: passed };
      if (isFinal(event.state)) return;
      await wake.next(LOOK_MS);
      event = await ports.events.getEvent(eventId);
    }
  } finally {
    leave();
    wake.close();
  }
}

function platform(attempt: Attempt, lines: readonly PlatformLine[]): LogLine[] {
  return lines.map(({ timeMs, text }) => ({
    time: new Date(timeMs),
    stream: Stream.PLATFORM,
    attempt: attempt.number,
    instanceId: attempt.instanceId,
    text,
  }));
}
