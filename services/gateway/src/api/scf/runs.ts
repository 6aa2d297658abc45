import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import { type LogLine, LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { isRefusal } from '@evenfall/errors';
import { quotedText } from '@evenfall/event-model';
import { listLogLines } from '../../flows/read-log.ts';
import type { Gateway } from '../../ports.ts';
import { startOf, statusCodeOf, statusOfEvent } from './event-status.ts';

/** One request, asynchronous or not, as the log actions show it. */
export type Run = {
  readonly requestId: string;
  readonly startTime: Date | undefined;
  readonly endTime: Date | undefined;
  readonly isRunning: boolean;
  readonly isAborted: boolean;
  /** 0 while it runs. */
  readonly statusCode: number;
  readonly retMsg: string;
  readonly durationMs: number;
  readonly memoryBytes: number;
  readonly retryNumber: number;
};

const MEGABYTE = 1024 * 1024;
/** Bytes of the log of one request that are shown. */
const MAX_LOG_BYTES = 6 * 1024 * 1024;

export function runOfEvent(event: Event): Run {
  const last = event.attempts.at(-1);
  return {
    requestId: event.id,
    startTime: startOf(event),
    endTime: event.endTime,
    isRunning: statusOfEvent(event) === 'RUNNING',
    isAborted: event.state === State.TERMINATED,
    statusCode: statusCodeOf(event),
    retMsg: (event.error.length > 0 ? event.error : event.result).toString('utf8'),
    durationMs: last?.durationMs ?? 0,
    memoryBytes: Number(last?.memoryBytes ?? 0n),
    retryNumber: Math.max(0, event.attempts.length - 1),
  };
}

/** The log of one request; undefined if there is none. At most so many bytes of it, whole lines. */
export async function readLog(gateway: Gateway, requestId: string, maxBytes = MAX_LOG_BYTES): Promise<readonly LogLine[] | undefined> {
  const lines: LogLine[] = [];
  let bytes = 0;
  for (let pageToken = ''; ;) {
    const page = await logPage(gateway, requestId, pageToken);
    if (!page) return undefined;
    for (const line of page.lines) {
      bytes += Buffer.byteLength(line.text) + 1;
      if (bytes > maxBytes) return lines;
      lines.push(line);
    }
    if (page.nextPageToken === '') return lines;
    pageToken = page.nextPageToken;
  }
}

async function logPage(gateway: Gateway, eventId: string, pageToken: string) {
  try {
    return await listLogLines(gateway, { eventId, filter: undefined, pageSize: 0, pageToken });
  } catch (error) {
    if (isRefusal(error) && error.reason === 'EVENT_NOT_FOUND') return undefined;
    throw error;
  }
}

/** A log as one text. Only the beginnings of lines show their streams: see `quotedText`. */
export function logText(lines: readonly LogLine[]): string {
  return lines.map((line) => `${quotedText(line)}\n`).join('');
}

/** The run of a synchronous call, read from the platform's lines in its log: nothing else of it is stored. */
export function runOfCall(requestId: string, lines: readonly LogLine[]): Run {
  const platform = lines.filter(({ stream }) => stream === Stream.PLATFORM);
  const after = (start: string): string | undefined => platform.find(({ text }) => text.startsWith(start))?.text.slice(start.length);
  const report = /^Duration:(\d+)ms Memory:\d+MB MemUsage:([\d.]+)MB$/.exec(after(`Report RequestId:${requestId} `) ?? '');
  const retMsg = after(`Response RequestId:${requestId} RetMsg:`) ?? '';
  const failed = after(`ERROR RequestId:${requestId} `) !== undefined;
  return {
    requestId,
    startTime: lines[0]?.time,
    endTime: report ? lines.at(-1)?.time : undefined,
    isRunning: !report,
    isAborted: false,
    statusCode: !report ? 0 : failed ? statusCodeIn(retMsg) : 200,
    retMsg,
    durationMs: Number(report?.[1] ?? 0),
    memoryBytes: Math.round(Number(report?.[2] ?? 0) * MEGABYTE),
    retryNumber: 0,
  };
}

function statusCodeIn(error: string): number {
  return Number(/"statusCode": ?(\d{3})/.exec(error)?.[1] ?? 500);
}
