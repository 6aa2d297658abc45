import type { AttemptReport, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import {
  Containment,
  KillSignal,
  type ProcessExit,
  ProcessExit_Kind as Kind,
  Termination_Cause as Cause,
  Termination_Outcome as StopOutcome,
  type TerminationStep,
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
  TerminationStep_Reception as Reception,
} from '@evenfall/contracts/v1/termination';
import type { Ending } from '../domain/instance-end.ts';
import { timeLimitMs } from '../domain/time-limit.ts';
import { brokenMessage, errorJson, RETURNED, type Verdict, verdictOf, verdictOfAnswer } from '../domain/attempt-result.ts';
import { type Agent, type Attempt, type Instance, reportOn } from './agent.ts';
import { endCallLog } from './call-log.ts';
import { flushLines } from './collect-output.ts';

/** The largest result that is kept of an asynchronous event. What is cut is no JSON any more: `result_truncated` says so. */
export const MAX_KEPT_RESULT_BYTES = 256 * 1024;
const MEMORY_READ_INTERVAL_MS = 100;
const NO_BYTES: Buffer = Buffer.alloc(0);

/** Gives an attempt back whose instance was gone before it could take it: it has not begun, and may run elsewhere. */
export function giveBack(agent: Agent, attempt: Attempt): void {
  agent.attempts.delete(attempt.key);
  agent.outbox.report(reportOn(attempt, { $case: 'throttled', value: { statusCode: 0, retryAfter: undefined } }));
}

/** Drops an attempt that was asked back before it began. */
export function revoke(agent: Agent, attempt: Attempt): void {
  agent.attempts.delete(attempt.key);
  agent.outbox.report(reportOn(attempt, { $case: 'revoked', value: {} }));
}

/** Ends the attempt of an instance that answered and lives on. */
export function concludeAttempt(agent: Agent, instance: Instance): void {
  const attempt = instance.current;
  if (!attempt) return;
  flushLines(agent, instance);
  instance.current = undefined;
  readMemory(agent, instance);
  report(agent, attempt, attempt.answer?.returned ? RETURNED : verdictOfAnswer(attempt.answer ?? { returned: false, statusCode: 500 }));
}

/** Keeps an attempt that failed until its instance is gone: its lines are complete, and what the instance writes while it stops is not its. */
export function setAside(agent: Agent, instance: Instance): void {
  flushLines(agent, instance);
  instance.failed = instance.current;
  instance.current = undefined;
}

/** Reports an instance as free that was reported as busy. */
export function announceFree(agent: Agent, instance: Instance): void {
  if (!instance.isToldBusy) return;
  instance.isToldBusy = false;
  agent.outbox.change({ instanceId: instance.id, change: { $case: 'ready', value: { startMs: 0 } } });
}

/** Ends everything that was on an instance, then says that it is gone. */
export function finishInstance(agent: Agent, instance: Instance, died: Ending): void {
  flushLines(agent, instance);
  // V8 aborts when its heap is full: for the function that is the same as the kernel's verdict.
  const ending: Ending = instance.isHeapFull && died.kind === 'DIED_OF' && died.signal === 'SIGABRT' ? { kind: 'OUT_OF_MEMORY' } : died;
  const attempt = instance.failed ?? instance.current;
  instance.failed = undefined;
  instance.current = undefined;
  agent.deadlines.drop(instance);
  const startFailed = !instance.ready && ending.kind !== 'RETIRED';
  const isCodeMissing = ending.kind === 'START_FAILED' && ending.fault.codeMissing === true;
  const gone = (): void => {
    agent.instances.delete(instance.id);
    const value = { startFailed, reason: reasonOf(ending), codeMissing: isCodeMissing };
    agent.outbox.change({ instanceId: instance.id, change: { $case: 'gone', value } });
  };
  // Lines of a start that failed are all there is to explain it: they go with the attempt that waited for it.
  const ofHost = ending.kind === 'LOST' || ending.kind === 'DRAINED';
  for (const waiting of instance.waiting.splice(0)) {
    if ((instance.ready && !ofHost) || isCodeMissing) giveBack(agent, waiting);
    else endAttempt(agent, waiting, ending);
  }
  if (attempt && attempt.phase === 'WAITING') {
    // Its runtime never took it: it has not begun.
    if (attempt.isAskedBack) revoke(agent, attempt);
    else if (ofHost) return endAttempt(agent, attempt, ending, gone);
    else giveBack(agent, attempt);
  } else if (attempt) return endAttempt(agent, attempt, withdrawnEnding(instance, attempt) ?? ending, gone);
  gone();
}

/** How an attempt ended that had been taken when its instance was removed because it had not: killed, unless its process was faster. */
function withdrawnEnding({ life, exit }: Instance, { stop, withdrawn }: Attempt): Ending | undefined {
  if (!stop || stop !== withdrawn || life.kind !== 'GONE' || life.ending.kind !== 'RETIRED') return undefined;
  if (exit && exit.signal !== 'SIGKILL')
    return exit.signal === null ? { kind: 'EXITED', exitCode: exit.exitCode ?? 0 } : { kind: 'DIED_OF', signal: exit.signal };
  return stop.cause === Cause.DRAIN ? { kind: 'DRAINED' } : { kind: 'FORCE_KILLED' };
}

/** Ends an attempt the way its instance ended. */
export function endAttempt(agent: Agent, attempt: Attempt, ending: Ending, then?: () => void): void {
  const timeoutMs = timeLimitMs(attempt.instance?.timeoutMs ?? 0, attempt.synchronous);
  const error = ending.kind === 'START_FAILED' ? ending.fault.error : undefined;
  report(agent, attempt, verdictOf(ending, attempt.answer, timeoutMs), error, then);
}

/** Reports the end; an attempt that wrote lines waits until they are stored, so that whoever sees the end sees them too. */
function report(agent: Agent, attempt: Attempt, verdict: Verdict, error?: Buffer, then?: () => void): void {
  attempt.phase = 'REPORTING';
  const endTime = new Date(agent.clock.now());
  const endMs = agent.clock.monotonic();
  const { instance } = attempt;
  const send = (): void => {
    // As it is when the report is sent: a runtime may have become free while the last lines were stored.
    const isBusy = instance?.life.kind === 'SETTLING';
    if (isBusy) instance.isToldBusy = true;
    attempt.ended = endedReport(attempt, verdict, error, endTime, endMs, isBusy);
    if (attempt.synchronous) addLogTail(agent, attempt, attempt.ended);
    attempt.phase = 'ENDED';
    attempt.endedMs = agent.clock.monotonic();
    attempt.instance = undefined; // it may be kept for long: the instance need not
    agent.outbox.report(attempt.ended);
    then?.();
  };
  if (attempt.lastOrdinal > 0 && !attempt.synchronous) agent.logs.whenStored(attempt.lastOrdinal, send);
  else send();
}

function endedReport(
  attempt: Attempt,
  verdict: Verdict,
  error: Buffer | undefined,
  endTime: Date,
  endMs: number,
  instanceBusy: boolean,
): AttemptReport {
  const { answer, instance } = attempt;
  const answered = verdict.message === '';
  const returned = answered && answer?.returned === true;
  const result = returned ? answer.body : NO_BYTES;
  const truncated = !attempt.synchronous && result.length > MAX_KEPT_RESULT_BYTES;
  const errorBytes = returned
    ? NO_BYTES
    : answered && answer
      ? answer.body
      : (error ?? errorJson(attempt.eventId, verdict.statusCode, verdict.message));
  const durationMs = attempt.startMs === 0 ? 0 : answered && answer ? attempt.tookMs : endMs - attempt.startMs;
  const memoryBytes = instance?.peakBytes ?? 0;
  return reportOn(attempt, {
    $case: 'ended',
    value: {
      outcome: verdict.outcome,
      statusCode: verdict.statusCode,
      result: truncated ? result.subarray(0, MAX_KEPT_RESULT_BYTES) : result,
      resultTruncated: truncated,
      error: errorBytes,
      endTime,
      durationMs,
      memoryBytes: BigInt(memoryBytes),
      exitCode: verdict.exitCode,
      signal: verdict.signal,
      stop: attempt.stop && receiptOf(attempt, verdict, endMs),
      logTail: '',
      started: attempt.started,
      instanceBusy,
    },
  });
}

function addLogTail(agent: Agent, attempt: Attempt, { report }: AttemptReport): void {
  if (report?.$case === 'ended') report.value.logTail = endCallLog(agent, attempt, report.value);
}

function receiptOf(attempt: Attempt, verdict: Verdict, endMs: number): StopReceipt | undefined {
  const stop = attempt.stop;
  if (!stop) return undefined;
  const early = stop.tooLate;
  return {
    policy: stop.policyMessage,
    steps: stop.steps.map((step) => (outlived(attempt, step) ? { ...step, reception: Reception.TAKEN } : step)),
    outcome: early ? StopOutcome.ENDED_BEFORE_SIGNAL : verdict.stopOutcome,
    sweptProcessCount: early ? 0 : (attempt.instance?.sweptCount ?? 0),
    durationMs: early ? 0 : endMs - stop.askedMs,
    exitCode: early ? 0 : verdict.exitCode,
    signal: early ? '' : verdict.signal,
    cause: stop.cause,
    mode: stop.mode,
    requestTime: stop.requestTime,
    containment: early ? Containment.UNSPECIFIED : containmentOf(attempt),
    extensions: stop.extensions,
    changes: stop.changes,
    exit: early ? undefined : processExitOf(attempt, verdict, endMs),
  };
}

/** Whether an attempt answered after a signal whose default action is death, and its process did not die of it: something in it took the signal. */
function outlived(
  { answer, answerTimeMs, instance }: Attempt,
  { signal, sentTime, disposition, delivery, reception }: TerminationStep,
): boolean {
  if (!answer || disposition !== Disposition.DEFAULT || delivery !== Delivery.DELIVERED || reception !== Reception.UNSPECIFIED)
    return false;
  const diedOf = instance?.exit?.signal;
  return (
    answerTimeMs >= (sentTime?.getTime() ?? Infinity) &&
    diedOf !== undefined &&
    (diedOf === null || KillSignal[diedOf as keyof typeof KillSignal] !== signal)
  );
}

/** How the processes of an attempt ended after it had answered a graceful stop. */
function processExitOf({ answer, instance, answerTimeMs, answerMs }: Attempt, verdict: Verdict, endMs: number): ProcessExit | undefined {
  const exit = instance?.exit;
  if (!answer || verdict.message !== '' || !exit) return undefined;
  const kind = exit.byPlatform ? Kind.KILLED : exit.signal === null ? Kind.EXITED : Kind.DIED_OF;
  return {
    kind,
    exitCode: exit.exitCode ?? 0,
    signal: exit.signal ?? '',
    answerTime: new Date(answerTimeMs),
    durationMs: endMs - answerMs,
  };
}

function containmentOf({ instance }: Attempt): Containment {
  return instance?.process ? Containment[instance.process.containment()] : Containment.UNSPECIFIED;
}

function readMemory(agent: Agent, instance: Instance): void {
  const nowMs = agent.clock.monotonic();
  if (nowMs - instance.memoryReadMs < MEMORY_READ_INTERVAL_MS) return;
  instance.memoryReadMs = nowMs;
  instance.peakBytes = Math.max(instance.peakBytes, instance.process?.peakBytes() ?? 0);
}

function reasonOf(ending: Ending): string {
  switch (ending.kind) {
    case 'EXITED':
      return `exited with code ${ending.exitCode}`;
    case 'DIED_OF':
      return `died of ${ending.signal}`;
    case 'START_FAILED':
      return ending.fault.message;
    case 'BROKEN':
      return brokenMessage(ending.reason);
    default:
      return ending.kind.toLowerCase().replaceAll('_', ' ');
  }
}
