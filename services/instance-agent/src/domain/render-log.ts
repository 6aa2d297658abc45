import type { ColdStart } from '@evenfall/contracts/v1/event';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { onOneLine, platformText, type Said } from '@evenfall/event-model';

/** What the platform says before the function's own lines in the log of a synchronous call. */
export type LogHead = {
  readonly requestId: string;
  readonly coldStart: ColdStart | undefined;
  /** Whether that start came ahead of any event. */
  readonly ahead: boolean;
  readonly memoryMb: number;
  readonly memoryBytes: number;
};

/** What it says after them. */
export type LogEnd = {
  readonly requestId: string;
  readonly memoryMb: number;
  readonly memoryBytes: number;
  readonly durationMs: number;
  /** [PLATFORM] lines of signals. */
  readonly platformLines: readonly string[];
  /** JSON text. */
  readonly result: string;
  /** Empty without one. */
  readonly error: string;
};

const TAIL_BYTES = 4096;
const inMb = (bytes: number): string => `${(bytes / 1_048_576).toFixed(2)}MB`;
const whole = (ms: number): string => `${Math.max(1, Math.round(ms))}ms`;

/** Renders the lines a log begins with. */
export function renderLogHead({ requestId, coldStart: cold, ahead, memoryMb, memoryBytes }: LogHead): string[] {
  const lines = [`START RequestId: ${requestId}`];
  if (!cold) return lines;
  const parts = `PullCode: ${whole(cold.pullCodeMs)} InitRuntime: ${whole(cold.initRuntimeMs)} InitFunction: ${whole(cold.initFunctionMs)}`;
  const total = whole(cold.pullCodeMs + cold.initRuntimeMs + cold.initFunctionMs);
  const what = ahead ? 'Provisioned Report' : 'Init Report';
  lines.push(`${what} RequestId: ${requestId} Coldstart: ${total} (${parts}) Memory: ${memoryMb}MB MemUsage: ${inMb(memoryBytes)}`);
  return lines;
}

/** Renders the lines a log ends with. */
export function renderLogEnd({ requestId, platformLines, result, error, durationMs, memoryMb, memoryBytes }: LogEnd): Said[] {
  const own = (text: string): Said => ({ stream: Stream.PLATFORM, text });
  return [
    ...platformLines.map(own),
    ...(error === '' ? [] : platformText(`ERROR RequestId:${requestId} Result:`, error)),
    own(`Response RequestId:${requestId} RetMsg:${onOneLine(error === '' ? result : error)}`),
    own(`END RequestId:${requestId}`),
    own(`Report RequestId:${requestId} Duration:${whole(durationMs)} Memory:${memoryMb}MB MemUsage:${inMb(memoryBytes)}`),
  ];
}

/** The end of a log as a caller of SCF sees it: at most 4 KB, cut at a line where that is possible. */
export function tailOfLog(lines: readonly string[]): string {
  const text = Buffer.from(`${lines.join('\n')}\n`);
  if (text.length <= TAIL_BYTES) return text.toString();
  const tail = text.subarray(text.length - TAIL_BYTES);
  const lineStart = tail.indexOf(10) + 1;
  return tail.toString('utf8', lineStart < TAIL_BYTES ? lineStart : 0);
}
