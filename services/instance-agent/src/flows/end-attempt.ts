import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { LIMITS } from '@evenfall/event-model';
import { attemptTimeoutMs } from '@evenfall/function-model';
import { type AttemptOutcome, brokenMessage, errorJson, outcomeOf, outcomeOfAnswer } from '../domain/attempt-outcome.ts';
import type { InstanceEnd } from '../domain/instance-end.ts';
import type { Agent } from './agent.ts';
import { enterPhase, instanceOf, reportOn } from './attempt.ts';
import { endCallLog } from './call-log.ts';
import { flushLines } from './collect-output.ts';
import { noteReportedBusy, removeAllWaiting, removeLast, setFailedAside, vacate } from './instance-work.ts';
import { readPeakMemoryAfterEvent } from './measure-memory.ts';
import { receiptOf } from './receipt.ts';
import type { Attempt, Instance, ReportingPhase, RunningPhase } from './types.ts';

const NO_BYTES: Buffer = Buffer.alloc(0);
const NO_ANSWER = { returned: false, statusCode: 500 } as const;

/** Returns an attempt to the scheduler that has not begun, because its instance cannot run it: it may run elsewhere. */
export function returnAttempt(agent: Agent, attempt: Attempt): void {
  agent.attempts.delete(attempt.key);
  agent.outbox.report(reportOn(attempt, { $case: 'throttled', value: { statusCode: 0, retryAfter: undefined } }));
}

/** Drops an attempt that was recalled before it began. */
export function revoke(agent: Agent, attempt: Attempt): void {
  agent.attempts.delete(attempt.key);
  agent.outbox.report(reportOn(attempt, { $case: 'revoked', value: {} }));
}

/** Ends the attempt of an instance that answered and lives on. */
export function concludeAttempt(agent: Agent, instance: Instance): void {
  const attempt = instance.work.current;
  if (attempt?.phase.kind !== 'RUNNING') return;
  flushLines(agent, instance);
  vacate(instance);
  readPeakMemoryAfterEvent(agent, instance);
  report(agent, attempt, outcomeOfAnswer(attempt.phase.answer ?? NO_ANSWER));
}

/** Keeps an attempt that failed until its instance is gone: its lines are complete, and what the instance writes while it stops is not its. */
export function setAside(agent: Agent, instance: Instance): void {
  flushLines(agent, instance);
  setFailedAside(instance);
}

/** Ends all attempts that an instance has, then reports that it is gone. */
export function finishInstance(agent: Agent, instance: Instance, died: InstanceEnd): void {
  flushLines(agent, instance);
  // V8 aborts when its heap is full: for the function that is the same as the kernel's kill.
  const isHeapFull = instance.output.isHeapFull && died.kind === 'DIED_OF' && died.signal === 'SIGABRT';
  const end: InstanceEnd = isHeapFull ? { kind: 'OUT_OF_MEMORY' } : died;
  const last = removeLast(instance);
  agent.deadlines.drop(instance);
  const isCodeMissing = end.kind === 'START_FAILED' && end.fault.codeMissing === true;
  // Lines of a start that failed are all there is to explain it: they go with the attempt that waited for it.
  const isOfHost = end.kind === 'LOST' || end.kind === 'DRAINED';
  for (const waiting of removeAllWaiting(instance)) {
    if ((instance.hasBeenReady && !isOfHost) || isCodeMissing) returnAttempt(agent, waiting);
    else endAttempt(agent, waiting, end);
  }
  const reportGone = (): void => {
    agent.instances.delete(instance.id);
    const startFailed = !instance.hasBeenReady && end.kind !== 'RETIRED';
    const value = { startFailed, reason: reasonOf(end), codeMissing: isCodeMissing };
    agent.outbox.change({ instanceId: instance.id, change: { $case: 'gone', value } });
  };
  const phase = last?.phase;
  if (last && phase?.kind === 'RUNNING') return endAttempt(agent, last, withdrawnEnd(instance, phase) ?? end, reportGone);
  if (last && phase?.kind === 'HANDED_OVER') {
    // Its runtime never received it: it has not begun.
    if (phase.isRecalled) revoke(agent, last);
    else if (isOfHost) return endAttempt(agent, last, end, reportGone);
    else returnAttempt(agent, last);
  }
  reportGone();
}

/** How an attempt ended that had begun when its instance was removed because it had not: killed, unless its process was faster. */
function withdrawnEnd({ life, runtime: { exit } }: Instance, { stop, wasWithdrawn }: RunningPhase): InstanceEnd | undefined {
  if (!stop || !wasWithdrawn || life.kind !== 'GONE' || life.end.kind !== 'RETIRED') return undefined;
  if (exit && exit.signal !== 'SIGKILL')
    return exit.signal === null ? { kind: 'EXITED', exitCode: exit.exitCode ?? 0 } : { kind: 'DIED_OF', signal: exit.signal };
  return stop.cause === Cause.DRAIN ? { kind: 'DRAINED' } : { kind: 'FORCE_KILLED' };
}

/** Ends an attempt the way its instance ended. */
export function endAttempt(agent: Agent, attempt: Attempt, end: InstanceEnd, then?: () => void): void {
  const timeoutMs = attemptTimeoutMs(instanceOf(attempt)?.timeoutMs ?? 0, attempt.synchronous);
  const answer = attempt.phase.kind === 'RUNNING' ? attempt.phase.answer : undefined;
  const error = end.kind === 'START_FAILED' ? end.fault.error : undefined;
  report(agent, attempt, outcomeOf(end, answer, timeoutMs), error, then);
}

/** Reports the end. An attempt that wrote lines waits until they are stored, so that a reader who sees the end sees them too. */
function report(agent: Agent, attempt: Attempt, outcome: AttemptOutcome, error?: Buffer, then?: () => void): void {
  const running = attempt.phase.kind === 'RUNNING' ? attempt.phase : undefined;
  const phase = enterPhase<ReportingPhase>(attempt, {
    kind: 'REPORTING',
    instance: instanceOf(attempt),
    start: running?.start,
    answer: running?.answer,
    outcome,
    error,
    endTime: new Date(agent.clock.now()),
    endMs: agent.clock.monotonic(),
    stop: running?.stop,
  });
  const send = (): void => {
    const ended = endedReport(agent, attempt, phase);
    enterPhase(attempt, { kind: 'ENDED', report: ended, endMs: agent.clock.monotonic(), isSpooled: false });
    agent.outbox.report(ended);
    then?.();
  };
  if (attempt.log.lastOrdinal > 0 && !attempt.synchronous) agent.logs.whenStored(attempt.log.lastOrdinal, send);
  else send();
}

function endedReport(agent: Agent, attempt: Attempt, phase: ReportingPhase): AttemptReport {
  const { answer, instance, outcome, start, endTime, endMs } = phase;
  // As it is when the report is sent: a runtime may have become free while the last lines were stored.
  const instanceBusy = instance?.life.kind === 'SETTLING';
  if (instance && instanceBusy) noteReportedBusy(instance, true);
  const hasAnswered = outcome.message === '';
  const body = hasAnswered && answer?.returned === true ? answer.body : undefined;
  // A result that is cut is no JSON any more: `result_truncated` marks it.
  const isTruncated = body !== undefined && !attempt.synchronous && body.length > LIMITS.resultBytes;
  const value = {
    outcome: outcome.outcome,
    statusCode: outcome.statusCode,
    result: (isTruncated ? body.subarray(0, LIMITS.resultBytes) : body) ?? NO_BYTES,
    resultTruncated: isTruncated,
    error: body === undefined ? errorOf(attempt, phase) : NO_BYTES,
    endTime,
    durationMs: start ? (hasAnswered && answer ? answer.tookMs : endMs - start.ms) : 0,
    memoryBytes: BigInt(instance?.memory.peakBytes ?? 0),
    exitCode: outcome.exitCode,
    signal: outcome.signal,
    stop: receiptOf(phase),
    logTail: '',
    started: start?.message,
    instanceBusy,
  };
  if (attempt.synchronous) value.logTail = endCallLog(agent, attempt, phase, value);
  return reportOn(attempt, { $case: 'ended', value });
}

/** JSON text: what the function answered, what its runtime wrote, or else the platform's own. */
function errorOf({ eventId }: Attempt, { answer, outcome, error }: ReportingPhase): Buffer {
  if (outcome.message === '' && answer) return answer.body;
  return error ?? errorJson(eventId, outcome.statusCode, outcome.message);
}

function reasonOf(end: InstanceEnd): string {
  switch (end.kind) {
    case 'EXITED':
      return `exited with code ${end.exitCode}`;
    case 'DIED_OF':
      return `died of ${end.signal}`;
    case 'START_FAILED':
      return end.fault.message;
    case 'BROKEN':
      return brokenMessage(end.reason);
    default:
      return end.kind.toLowerCase().replaceAll('_', ' ');
  }
}
