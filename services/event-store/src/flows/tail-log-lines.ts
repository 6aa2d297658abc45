import { refuse } from '@evenfall/errors';
import {
  inParts,
  isFinal,
  lineBytes,
  platformLinesAfter,
  platformLinesBefore,
  type PlatformLine,
  signalLine,
  signalsOf,
} from '@evenfall/event-model';
import type { Attempt, Event } from '@evenfall/contracts/v1/event';
import type { LogLine, TailLogLinesRequest, TailLogLinesResponse } from '@evenfall/contracts/v1/log_service';
import { passes } from '../domain/log-filter.ts';
import { beginOf, type LogPlace, readPlace, writePlace } from '../domain/log-place.ts';
import { PAGE_BYTES } from '@evenfall/paging';
import type { Watchers } from '../domain/watchers.ts';
import type { LogTable } from '../ports.ts';
import { readCallLog } from './call-log.ts';
import { findEvent, type GetPorts } from './get-event.ts';
import { wakeable } from './wakeable.ts';

const LOOK_MS = 1_000;
const BATCH = 1_000;
/** Of a token, about. */
const TOKEN_BYTES = 96;

type Ports = GetPorts & { readonly logs: LogTable; readonly watchers: Watchers };
/** A line, and the place after it. */
type Placed = { readonly line: LogLine; readonly place: LogPlace };

/** Sends the log of one event, or of one synchronous call, as it grows, and ends with it. Platform lines come where they happen. */
export async function* tailLogLines(
  ports: Ports,
  { eventId, filter, resumeToken }: TailLogLinesRequest,
  signal: AbortSignal,
): AsyncGenerator<TailLogLinesResponse> {
  let place = readPlace(resumeToken);
  if (!place) throw refuse('INVALID_PAGE_TOKEN');
  /** Messages of bounded size; none without lines. */
  const answers = (lines: readonly Placed[]): TailLogLinesResponse[] => {
    const passed = lines.filter(({ line }) => passes(line, filter));
    return inParts(passed, ({ line }) => lineBytes(line) + TOKEN_BYTES, PAGE_BYTES).map((part) => ({
      lines: part.map(({ line }) => line),
      resumeTokens: part.map((one) => writePlace(one.place)),
    }));
  };
  let event = await findEvent(ports, { eventId: eventId, after: [] });
  if (!event) {
    for await (const found of readCallLog(ports, eventId, true, signal, place))
      yield* answers(found.map(({ line, sequence }) => ({ line, place: { ...beginOf(line.attempt), sequence } })));
    return;
  }
  const wake = wakeable(signal);
  const leave = ports.watchers.watch(eventId, () => wake.rouse());
  try {
    while (event && !signal.aborted) {
      const lines = await newLines(ports.logs, event, place);
      place = lines.at(-1)?.place ?? place;
      yield* answers(lines);
      if (isFinal(event.state)) return;
      await wake.next(LOOK_MS);
      event = await ports.events.getEvent(eventId);
    }
  } finally {
    leave();
    wake.close();
  }
}

/** The lines after a place, as far as they are there. */
async function newLines(logs: LogTable, event: Event, from: LogPlace): Promise<Placed[]> {
  const lines: Placed[] = [];
  let place = from;
  for (const attempt of event.attempts) {
    if (attempt.number < place.attempt) continue;
    if (attempt.number > place.attempt) place = beginOf(attempt.number);
    const put = (line: LogLine, next: Partial<LogPlace>): void => {
      place = { ...place, ...next };
      lines.push({ line, place });
    };
    for (const line of platform(attempt, platformLinesBefore(event.id, attempt)).slice(place.before))
      put(line, { before: place.before + 1 });
    if (place.after === 0) {
      for (let more = true; more;) {
        const own = await logs.list(event.id, place, BATCH);
        const mine = own.filter(({ line }) => line.attempt === attempt.number);
        for (const { line, sequence } of mine) put(line, { sequence });
        more = mine.length === BATCH;
      }
      for (const step of signalsOf(event, attempt).slice(place.signals)) {
        const signals = place.signals + 1;
        const line = signalLine(step);
        if (line) for (const one of platform(attempt, [line])) put(one, { signals });
        else place = { ...place, signals };
      }
    }
    if (!attempt.endTime) break;
    const result = attempt.number === event.attempts.length ? event.result : Buffer.alloc(0);
    for (const line of platform(attempt, platformLinesAfter(event.id, attempt, result)).slice(place.after))
      put(line, { after: place.after + 1 });
  }
  return lines;
}

function platform(attempt: Attempt, lines: readonly PlatformLine[]): LogLine[] {
  return lines.map(({ timeMs, stream, text }) => ({
    time: new Date(timeMs),
    stream,
    attempt: attempt.number,
    instanceId: attempt.instanceId,
    text,
  }));
}
