import type { ColdStart } from '@evenfall/contracts/v1/event';
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import {
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
  TerminationStep_Reception as Reception,
  type TerminationStep,
} from '@evenfall/contracts/v1/termination';
import { cutBytes, cutText } from './cut-text.ts';
import { LIMITS } from './limits.ts';
import { onOneLine, platformText, type FunctionText } from './platform-text.ts';

/**
 * The platform's lines of one run, after the log format of Tencent SCF. The only place that words them: the event-store renders the log of an event with
 * it when the log is read, the agent that of a synchronous call, which leaves no event, when it runs.
 */
export type RunStart = {
  readonly requestId: string;
  /** What the start of the instance took; undefined for an instance that had run before. */
  readonly coldStart: ColdStart | undefined;
  /** Whether the instance was started ahead of any event. */
  readonly isAhead: boolean;
  readonly memoryMb: number;
  /** The most memory the instance has used so far. */
  readonly memoryBytes: number | bigint;
};

export type RunEnd = {
  readonly requestId: string;
  readonly memoryMb: number;
  readonly memoryBytes: number | bigint;
  readonly durationMs: number;
  /** JSON text; empty without a result. */
  readonly result: Buffer;
  /** An error as JSON text, or what there is of it; empty without one. */
  readonly error: Buffer;
};

const MEGABYTE = 1024 * 1024;
/** Of a result or an error in its line, which names the request too. */
const ANSWER_BYTES = LIMITS.logLineBytes - 256;

/** The lines before the function's own. */
export function linesBeforeRun({ requestId, coldStart, isAhead, memoryMb, memoryBytes }: RunStart): FunctionText[] {
  const start = own(`START RequestId: ${requestId}`);
  if (!coldStart) return [start];
  const { pullCodeMs, initRuntimeMs, initFunctionMs } = coldStart;
  const pull = pullCodeMs > 0 ? `PullCode: ${wholeMs(pullCodeMs)} ` : ''; // SCF leaves it out where the code was there
  const parts = `${pull}InitRuntime: ${wholeMs(initRuntimeMs)} InitFunction: ${wholeMs(initFunctionMs)}`;
  const total = wholeMs(pullCodeMs + initRuntimeMs + initFunctionMs);
  const report = `${isAhead ? 'Provisioned' : 'Init'} Report RequestId: ${requestId} Coldstart: ${total} (${parts})`;
  return [start, own(`${report} Memory: ${memoryMb}MB MemUsage: ${inMb(memoryBytes)}`)];
}

/** The lines after them. A result or an error is cut to what a line holds; an error has its further lines in a stream of its own. */
export function linesAfterRun({ requestId, memoryMb, memoryBytes, durationMs, result, error }: RunEnd): FunctionText[] {
  const answer = answerText(error.length > 0 ? error : result);
  return [
    ...(error.length > 0 ? platformText(`ERROR RequestId:${requestId} Result:`, errorText(error)) : []),
    own(`Response RequestId:${requestId} RetMsg:${answer}`),
    own(`END RequestId:${requestId}`),
    own(`Report RequestId:${requestId} Duration:${wholeMs(durationMs)} Memory:${memoryMb}MB MemUsage:${inMb(memoryBytes)}`),
  ].map(({ stream, text }) => ({ stream, text: cutText(text, LIMITS.logLineBytes) }));
}

/** The line of a signal that was sent; undefined for SIGKILL, which no function receives. */
export function lineOfSignal({ signal, disposition, reception, delivery }: TerminationStep): FunctionText | undefined {
  if (signal === 9) return undefined;
  const isBlocked = disposition === Disposition.BLOCKED && reception !== Reception.TAKEN;
  const isReceived = delivery === Delivery.DELIVERED && !isBlocked && disposition !== Disposition.IGNORED;
  return own(isReceived ? '[PLATFORM] Signal received successfully' : '[PLATFORM] Signal reception failed');
}

function own(text: string): FunctionText {
  return { stream: Stream.PLATFORM, text };
}

/** A result or an error on one line, cut before it is decoded: it may have megabytes. */
function answerText(answer: Buffer): string {
  const isCut = answer.length > ANSWER_BYTES;
  return onOneLine(cutBytes(answer, ANSWER_BYTES).toString('utf8')) + (isCut ? `… [cut from ${answer.length} bytes]` : '');
}

/** Milliseconds as SCF shows them: rounded up, as it bills them. */
function wholeMs(ms: number): string {
  return `${Math.ceil(ms)}ms`;
}

function inMb(bytes: number | bigint): string {
  return `${(Number(bytes) / MEGABYTE).toFixed(2)}MB`;
}

/** The stack or the sentence inside an error's JSON, or all of it. */
function errorText(error: Buffer): string {
  const text = error.toString('utf8');
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) {
      const { stackTrace, errorMessage } = parsed as { stackTrace?: unknown; errorMessage?: unknown }; // it is some object
      if (typeof stackTrace === 'string' && stackTrace !== '') return stackTrace;
      if (typeof errorMessage === 'string') return errorMessage;
    }
  } catch {
    return text; // cut, or not ours: shown as it is
  }
  return text;
}
