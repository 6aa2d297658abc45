import { refuse } from '@evenfall/errors';
import { MOST_CALL_MS } from '@evenfall/function-model';
import { type LogLine, LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable } from '../ports.ts';
import { type Wakeable, wakeable } from './wakeable.ts';

/** How long the log of a call is waited for: an agent sends lines at most 50 ms after they were written. */
const LATE_MS = 250;
/** A log without a new line for so long is that of a call whose host has gone. */
const SILENT_MS = MOST_CALL_MS + 10_000;
const BATCH = 1_000;
const BEGIN: Place = { attempt: 0, sequence: 0 };

type Place = { readonly attempt: number; readonly sequence: number };
type StoredLine = Awaited<ReturnType<LogTable['list']>>[number];

type Ports = { readonly logs: LogTable; readonly watchers: Watchers };

/**
 * Sends the log of a synchronous call, which has no event: its agent has stored the platform's lines too, as they are. Without `follow` it
 * ends with what is there, within moments of the call's end all of it. Throws EVENT_NOT_FOUND if there is none: a call that wrote
 * nothing has left nothing.
 */
export async function* readCallLog(
  ports: Ports,
  eventId: string,
  follow: boolean,
  signal: AbortSignal,
  from: Place = BEGIN,
): AsyncGenerator<readonly StoredLine[]> {
  const wake = wakeable(signal);
  const leave = ports.watchers.watch(eventId, () => wake.rouse());
  let place = from;
  let begun = from.sequence > 0;
  let untilMs = performance.now() + LATE_MS;
  try {
    for (;;) {
      const found = await ports.logs.list(eventId, place, BATCH);
      const end = found[found.length - 1];
      if (end) {
        // Lines without a beginning are those of an event that has gone before its last lines: they are not a log.
        if (!begun && !isBegin(eventId, found[0]?.line)) break;
        begun = true;
        place = { attempt: end.line.attempt, sequence: end.sequence };
        yield found;
        if (isEnd(eventId, end.line)) return;
        if (follow) untilMs = performance.now() + SILENT_MS;
        if (found.length === BATCH) continue;
      }
      if (signal.aborted || !(await nextBefore(wake, untilMs))) break;
    }
  } finally {
    leave();
    wake.close();
  }
  if (!begun) throw refuse('EVENT_NOT_FOUND', { event_id: eventId });
}

async function nextBefore(wake: Wakeable, untilMs: number): Promise<boolean> {
  const leftMs = untilMs - performance.now();
  if (leftMs > 0) await wake.next(leftMs);
  return leftMs > 0;
}

function isBegin(eventId: string, line: LogLine | undefined): boolean {
  return line?.stream === Stream.PLATFORM && line.text === `START RequestId: ${eventId}`;
}

function isEnd(eventId: string, line: LogLine): boolean {
  return line.stream === Stream.PLATFORM && line.text.startsWith(`Report RequestId:${eventId} `);
}
