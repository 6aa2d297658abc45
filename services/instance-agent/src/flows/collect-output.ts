import { LogLine_Stream as Stream } from '@evenfall/contracts/v1/log_service';
import { LIMITS, platformText, quotedText } from '@evenfall/event-model';
import { type Agent, type Attempt, type IdleLine, type Instance, logGrantOf } from './agent.ts';
import { beginCallLog } from './call-log.ts';

/** A flood is cut here, per attempt (semantics §6). */
const { attemptLogLines: MAX_ATTEMPT_LINES, attemptLogBytes: MAX_ATTEMPT_BYTES } = LIMITS;
/** Lines kept for the next attempt of an instance that runs none. */
const MAX_IDLE_LINES = 1000;
const TAIL_BYTES = 4096;

/** V8's last words. */
const HEAP_IS_FULL = /^FATAL ERROR: .*(heap out of memory|allocation failed)/i;

export const STREAMS = { stdout: Stream.STDOUT, stderr: Stream.STDERR, platform: Stream.PLATFORM, error: Stream.ERROR } as const;

/** Takes what an instance wrote. Always drains: a flood that is cut costs its own event its lines, and nobody any time. */
export function collectOutput(agent: Agent, instance: Instance, stream: 'stdout' | 'stderr', chunk: Buffer): void {
  instance.outputTurn = agent.concluder.turn;
  const attempt = runningOn(instance);
  if (attempt?.cut) return;
  instance.splitters[stream].push(chunk, agent.clock.now(), (text, bytes, timeMs) => {
    addLine(agent, instance, attempt, { stream, text, timeMs }, bytes);
  });
}

/** Whose lines an instance writes: not those of an event that its runtime has not taken yet. */
function runningOn({ current }: Instance): Attempt | undefined {
  return current?.phase === 'WAITING' ? undefined : current;
}

/** Ends the lines that were left open. */
export function flushLines(agent: Agent, instance: Instance): void {
  const attempt = runningOn(instance) ?? instance.waiting[0];
  for (const stream of ['stdout', 'stderr'] as const) {
    instance.splitters[stream].flush((text, bytes, timeMs) => addLine(agent, instance, attempt, { stream, text, timeMs }, bytes));
  }
  if (attempt && instance.idleLines.length > 0) takeIdleLines(agent, instance, attempt);
}

/** Lines of the start, or of a time without an event, become the attempt's first. */
export function takeIdleLines(agent: Agent, instance: Instance, attempt: Attempt): void {
  for (const line of instance.idleLines.splice(0)) store(agent, instance, attempt, line, Buffer.byteLength(line.text));
}

/** Adds a line of the platform's own, with words of the function at its end, to what the next attempt gets. */
export function addPlatformLine(agent: Agent, instance: Instance, text: string): void {
  for (const said of platformText(text))
    instance.idleLines.push({ stream: said.stream === Stream.ERROR ? 'error' : 'platform', text: said.text, timeMs: agent.clock.now() });
}

/** How long a line may stand without its end before it is shown: a prompt, or progress in dots. */
const OPEN_LINE_MS = 1_000;

/** One round: shows lines that have been open for long, so that the last words of an event that is stuck can be read. */
export function showOpenLines(agent: Agent): void {
  const beforeMs = agent.clock.now() - OPEN_LINE_MS;
  for (const instance of agent.instances.values()) {
    const attempt = runningOn(instance);
    if (!attempt || attempt.cut) continue;
    for (const stream of ['stdout', 'stderr'] as const)
      instance.splitters[stream].flush((text, bytes, timeMs) => {
        addLine(agent, instance, attempt, { stream, text, timeMs }, bytes);
      }, beforeMs);
  }
}

function addLine(agent: Agent, instance: Instance, attempt: Attempt | undefined, line: IdleLine, bytes: number): void {
  if (line.stream === 'stderr' && HEAP_IS_FULL.test(line.text)) instance.isHeapFull = true;
  if (attempt) store(agent, instance, attempt, line, bytes);
  else if (instance.idleLines.length < MAX_IDLE_LINES) instance.idleLines.push(line);
}

function store(agent: Agent, instance: Instance, attempt: Attempt, line: IdleLine, bytes: number): void {
  if (attempt.cut) return;
  if (attempt.synchronous && attempt.lineCount === 0) beginCallLog(agent, instance, attempt, line.timeMs);
  attempt.lineBytes += bytes;
  if (attempt.lineCount >= MAX_ATTEMPT_LINES || attempt.lineBytes > MAX_ATTEMPT_BYTES) {
    attempt.cut = true;
    const text = `[PLATFORM] Log cut: an event may write ${MAX_ATTEMPT_LINES} lines or ${MAX_ATTEMPT_BYTES} bytes`;
    send(agent, instance, attempt, { stream: 'platform', text, timeMs: line.timeMs });
    return;
  }
  send(agent, instance, attempt, line);
}

function send(agent: Agent, instance: Instance, attempt: Attempt, line: IdleLine): void {
  attempt.lineCount += 1;
  const { number, eventId, lineCount: sequence } = attempt;
  const said = { time: new Date(line.timeMs), stream: STREAMS[line.stream], attempt: number, instanceId: instance.id, text: line.text };
  attempt.lastOrdinal = agent.logs.push({ eventId, sequence, line: said }, logGrantOf(attempt));
  const tail = attempt.tail;
  if (!tail) return;
  const text = quotedText({ stream: STREAMS[line.stream], text: line.text });
  tail.push(text);
  attempt.tailBytes += text.length + 1;
  while (attempt.tailBytes - (tail[0]?.length ?? 0) > TAIL_BYTES) attempt.tailBytes -= (tail.shift()?.length ?? 0) + 1;
}
