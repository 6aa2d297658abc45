import type { ColdStart } from '@evenfall/contracts/v1/event';

/** What the last 4 KB of a synchronous call's log are made of. */
export type RenderedLog = {
  readonly requestId: string;
  readonly lines: readonly string[];
  readonly coldStart: ColdStart | undefined;
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

/** Renders the end of a log as a caller of SCF sees it; at most 4 KB, cut at a line where that is possible. */
export function renderLogTail(log: RenderedLog): string {
  const lines = [`START RequestId: ${log.requestId}`];
  const cold = log.coldStart;
  if (cold) {
    const parts = `PullCode: ${whole(cold.pullCodeMs)} InitRuntime: ${whole(cold.initRuntimeMs)} InitFunction: ${whole(cold.initFunctionMs)}`;
    const total = whole(cold.pullCodeMs + cold.initRuntimeMs + cold.initFunctionMs);
    lines.push(
      `Init Report RequestId: ${log.requestId} Coldstart: ${total} (${parts}) Memory: ${log.memoryMb}MB MemUsage: ${inMb(log.memoryBytes)}`,
    );
  }
  lines.push(...log.lines, ...log.platformLines);
  if (log.error !== '') lines.push(`ERROR RequestId:${log.requestId} Result:${log.error}`);
  lines.push(`Response RequestId:${log.requestId} RetMsg:${log.error === '' ? log.result : log.error}`, `END RequestId:${log.requestId}`);
  lines.push(
    `Report RequestId:${log.requestId} Duration:${whole(log.durationMs)} Memory:${log.memoryMb}MB MemUsage:${inMb(log.memoryBytes)}`,
  );
  const text = Buffer.from(`${lines.join('\n')}\n`);
  if (text.length <= TAIL_BYTES) return text.toString();
  const tail = text.subarray(text.length - TAIL_BYTES);
  const lineStart = tail.indexOf(10) + 1;
  return tail.toString('utf8', lineStart < TAIL_BYTES ? lineStart : 0);
}
