import { linesAfterRun, linesBeforeRun, type FunctionText } from '@evenfall/event-model';
import type { Agent } from './agent.ts';
import { addPlatformLine, flushIdleLines, removeIdleLines, STREAMS } from './collect-output.ts';
import { abandonHook } from './run-hooks.ts';
import type { IdleLine, Instance, ProcessEnd } from './types.ts';

/**
 * Keeps the lines of an instance that is gone and that belong to no event, as the log of a call with the id of the instance: those of a PreStop
 * hook, those written after the last event's answer, and why an instance ended that ran nothing.
 */
export function endInstanceLog(agent: Agent, instance: Instance): void {
  const { id, life, fn, runtime } = instance;
  if (life.kind !== 'GONE') return;
  abandonHook(agent, instance, 'its process ended');
  // Without an attempt its lines are of no event; those of a start that failed are of the attempts that waited for it.
  const isOfNoEvent = instance.work.current === undefined && instance.hasBeenReady;
  if (isOfNoEvent) flushIdleLines(instance);
  const { preStopMs } = instance.hooks;
  const hasDied = life.end.kind === 'EXITED' || life.end.kind === 'DIED_OF';
  const diedIdle = isOfNoEvent && hasDied ? runtime.exit : undefined;
  if (preStopMs === undefined && !(isOfNoEvent && (instance.output.idleLines.length > 0 || diedIdle))) return;
  if (diedIdle) addPlatformLine(agent, instance, `[PLATFORM] The instance ${howItEnded(diedIdle)} while no event ran on it`);
  const [memoryMb, memoryBytes] = [fn.memoryMb, instance.memory.peakBytes];
  const durationMs = agent.clock.monotonic() - (preStopMs ?? instance.start.requestMs);
  const platform = ({ text }: FunctionText): IdleLine => ({ stream: 'platform', text, timeMs: agent.clock.now() });
  const head = linesBeforeRun({ requestId: id, coldStart: undefined, isAhead: false, memoryMb, memoryBytes });
  const [result, error] = [Buffer.from('null'), Buffer.alloc(0)];
  const end = linesAfterRun({ requestId: id, memoryMb, memoryBytes, durationMs, result, error });
  const grant = { eventId: id, attempt: 1, partition: undefined, codeSha256: fn.codeSha256, grant: instance.packageGrant };
  [...head.map(platform), ...removeIdleLines(instance), ...end.map(platform)].forEach((line, index) => {
    const stored = { time: new Date(line.timeMs), stream: STREAMS[line.stream], attempt: 1, instanceId: id, text: line.text };
    agent.logs.push({ eventId: id, sequence: index + 1, line: stored }, grant);
  });
}

function howItEnded({ exitCode, signal }: ProcessEnd): string {
  return signal === null ? `exited with code ${exitCode ?? 0}` : `died of ${signal}`;
}
