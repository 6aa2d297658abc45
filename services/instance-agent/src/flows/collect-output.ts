// The only file that writes `Instance.output`.
import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { LIMITS, platformText, quotedText } from '@evenfall/event-model';
import type { Agent } from './agent.ts';
import { hasNotBegun } from './attempt.ts';
import { storeLine } from './attempt-lines.ts';
import { beginCallLog } from './call-log.ts';
import type { Attempt, IdleLine, Instance } from './types.ts';

/** The log of one attempt is cut beyond this (docs/guides/writing-functions.md). */
export const { attemptLogLines: MAX_ATTEMPT_LINES, attemptLogBytes: MAX_ATTEMPT_BYTES } = LIMITS;
/** Lines, and their bytes, kept for the next attempt of an instance that runs none, or for the log of the instance: an event-store keeps twice as many bytes. */
const MAX_IDLE_LINES = 1000;
const MAX_IDLE_BYTES = MAX_ATTEMPT_BYTES;
const TAIL_BYTES = 4096;

/** The line that V8 writes before it aborts. */
const HEAP_IS_FULL = /^FATAL ERROR: .*(heap out of memory|allocation failed)/i;

export const STREAMS = { stdout: Stream.STDOUT, stderr: Stream.STDERR, platform: Stream.PLATFORM, error: Stream.ERROR } as const;
const OWN_STREAMS = ['stdout', 'stderr'] as const;

/** Reads what an instance wrote. Always drains its pipes: a flood that is cut costs its own event its lines, and other events no time. */
export function collectOutput(agent: Agent, instance: Instance, stream: 'stdout' | 'stderr', chunk: Buffer): void {
  instance.output.lastTurn = agent.outputReader.turn;
  const attempt = runningOn(instance);
  if (attempt?.log.isCut) return;
  instance.output.splitters[stream].push(chunk, agent.clock.now(), (text, bytes, timeMs) => {
    addLine(agent, instance, attempt, { stream, text, timeMs }, bytes);
  });
}

/** The attempt whose lines an instance writes: not one whose event its runtime has not received yet. */
function runningOn({ work: { current } }: Instance): Attempt | undefined {
  return current && hasNotBegun(current) ? undefined : current;
}

/** Ends the lines that have no line end yet. */
export function flushLines(agent: Agent, instance: Instance): void {
  const attempt = runningOn(instance) ?? instance.work.waiting[0];
  for (const stream of OWN_STREAMS) {
    instance.output.splitters[stream].flush((text, bytes, timeMs) => addLine(agent, instance, attempt, { stream, text, timeMs }, bytes));
  }
  if (attempt && instance.output.idleLines.length > 0) adoptIdleLines(agent, instance, attempt);
}

/** Makes lines of the start, or of a time without an event, the first ones of an attempt. */
export function adoptIdleLines(agent: Agent, instance: Instance, attempt: Attempt): void {
  for (const line of removeIdleLines(instance)) store(agent, instance, attempt, line, Buffer.byteLength(line.text));
}

/** Removes the lines that belong to no attempt, and answers them. */
export function removeIdleLines({ output }: Instance): IdleLine[] {
  output.idleBytes = 0;
  output.isIdleCut = false;
  return output.idleLines.splice(0);
}

/** Ends the lines that have no line end yet, as lines of no attempt. */
export function flushIdleLines({ output }: Instance): void {
  for (const stream of OWN_STREAMS)
    output.splitters[stream].flush((text, bytes, timeMs) => keepIdleLine(output, { stream, text, timeMs }, bytes));
}

/** Adds a line of the platform's own, which ends with text of the function, to the lines of the next attempt. */
export function addPlatformLine(agent: Agent, { output }: Instance, text: string): void {
  for (const line of platformText(text)) {
    const stream = line.stream === Stream.ERROR ? 'error' : 'platform';
    output.idleLines.push({ stream, text: line.text, timeMs: agent.clock.now() });
  }
}

/** How long a line may be without its end before it is shown: a prompt, or progress in dots. */
const OPEN_LINE_MS = 1_000;

/** One round: shows lines that have had no end for long, so that the last words of an event that is stuck can be read. */
export function showOpenLines(agent: Agent): void {
  const beforeMs = agent.clock.now() - OPEN_LINE_MS;
  for (const instance of agent.instances.values()) {
    const attempt = runningOn(instance);
    if (!attempt || attempt.log.isCut) continue;
    for (const stream of OWN_STREAMS)
      instance.output.splitters[stream].flush((text, bytes, timeMs) => {
        addLine(agent, instance, attempt, { stream, text, timeMs }, bytes);
      }, beforeMs);
  }
}

function addLine(agent: Agent, instance: Instance, attempt: Attempt | undefined, line: IdleLine, bytes: number): void {
  const { output } = instance;
  if (line.stream === 'stderr' && HEAP_IS_FULL.test(line.text)) output.isHeapFull = true;
  if (attempt) store(agent, instance, attempt, line, bytes);
  else keepIdleLine(output, line, bytes);
}

function keepIdleLine(output: Instance['output'], line: IdleLine, bytes: number): void {
  if (output.isIdleCut) return;
  output.idleBytes += bytes;
  output.isIdleCut = output.idleLines.length >= MAX_IDLE_LINES || output.idleBytes > MAX_IDLE_BYTES;
  const text = `[PLATFORM] Log cut: an instance without an event may write ${MAX_IDLE_LINES} lines or ${MAX_IDLE_BYTES} bytes`;
  output.idleLines.push(output.isIdleCut ? { stream: 'platform', text, timeMs: line.timeMs } : line);
}

function store(agent: Agent, instance: Instance, attempt: Attempt, line: IdleLine, bytes: number): void {
  const { log } = attempt;
  if (log.isCut) return;
  if (attempt.synchronous && log.lineCount === 0) beginCallLog(agent, instance, attempt, line.timeMs);
  log.bytes += bytes;
  if (log.lineCount >= MAX_ATTEMPT_LINES || log.bytes > MAX_ATTEMPT_BYTES) {
    log.isCut = true;
    const text = `[PLATFORM] Log cut: an event may write ${MAX_ATTEMPT_LINES} lines or ${MAX_ATTEMPT_BYTES} bytes`;
    storeWithTail(agent, instance, attempt, { stream: 'platform', text, timeMs: line.timeMs });
    return;
  }
  storeWithTail(agent, instance, attempt, line);
}

function storeWithTail(agent: Agent, instance: Instance, attempt: Attempt, line: IdleLine): void {
  const stream = STREAMS[line.stream];
  storeLine(agent, attempt, instance.id, stream, line.text, line.timeMs);
  const { log } = attempt;
  const { tail } = log;
  if (!tail) return;
  const text = quotedText({ stream, text: line.text });
  tail.push(text);
  log.tailBytes += text.length + 1;
  while (log.tailBytes - (tail[0]?.length ?? 0) > TAIL_BYTES) log.tailBytes -= (tail.shift()?.length ?? 0) + 1;
}
