import type { AttemptResult, AttemptReport, AttemptStarted, SignalSent, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import { type Attempt, Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { ProcessExit, Termination, TerminationPolicy } from '@evenfall/contracts/v1/termination';
import { boundError, boundResult } from './bound-report.ts';
import { receiptBytes } from './bytes-of.ts';
import { cutText, fits } from './cut-text.ts';
import { LIMITS } from './limits.ts';

const NOTHING = Buffer.alloc(0);
const LAST_OUTCOME = Math.max(...Object.values(Outcome).filter((value) => typeof value === 'number'));

/**
 * What an agent reports, within the limits, whatever it sent: texts are cut, numbers are numbers, times are times. The same object where nothing
 * has to be changed. A caller that waits gets its result whole: then only the result of `synchronous` attempts is left as it is.
 */
export function boundReport(report: AttemptReport, synchronous: boolean): AttemptReport {
  const change = report.report;
  switch (change?.$case) {
    case 'started':
      return replaced(report, change, boundStarted(change.value));
    case 'ended':
      return replaced(report, change, boundEnded(change.value, synchronous));
    case 'signalSent':
      return replaced(report, change, boundSignal(change.value));
    default:
      return report;
  }
}

/** The start of an attempt within the limits. */
export function boundStarted(started: AttemptStarted): AttemptStarted {
  const { instanceId, agentId, startTime, memoryMb, coldStartDetail: detail } = started;
  const isGood =
    isName(instanceId) && isName(agentId) && isTime(startTime) && memoryMb >= 0 && (!detail || Object.values(detail).every(isAmount));
  if (isGood) return started;
  return {
    ...started,
    instanceId: nameOf(instanceId),
    agentId: nameOf(agentId),
    startTime: timeOf(startTime),
    memoryMb: Math.max(0, memoryMb),
    coldStartDetail: detail && {
      pullCodeMs: amountOf(detail.pullCodeMs),
      initRuntimeMs: amountOf(detail.initRuntimeMs),
      initFunctionMs: amountOf(detail.initFunctionMs),
    },
  };
}

/** The end of an attempt within the limits. */
export function boundEnded(ended: AttemptResult, synchronous = false): AttemptResult {
  const { durationMs, memoryBytes, signal, endTime, outcome, logTail } = ended;
  const { result, truncated } = synchronous ? { result: ended.result, truncated: false } : boundResult(ended.result);
  const error = boundError(ended.error);
  const stop = ended.stop && boundStop(ended.stop);
  const started = ended.started && boundStarted(ended.started);
  const tail = cutText(logTail, 2 * LIMITS.logTailBytes); // cut by characters where it is made
  const isGood =
    started === ended.started &&
    result === ended.result &&
    error === ended.error &&
    stop === ended.stop &&
    tail === logTail &&
    isAmount(durationMs) &&
    memoryBytes >= 0n;
  if (isGood && isName(signal) && isTime(endTime) && isOutcome(outcome)) return ended;
  return {
    ...ended,
    outcome: isOutcome(outcome) ? outcome : Outcome.THREW,
    result,
    resultTruncated: ended.resultTruncated || truncated,
    error,
    endTime: timeOf(endTime),
    durationMs: amountOf(durationMs),
    memoryBytes: memoryBytes < 0n ? 0n : memoryBytes,
    signal: nameOf(signal),
    started,
    stop,
    logTail: tail,
  };
}

/** A signal that was sent, within the limits. */
export function boundSignal(sent: SignalSent): SignalSent {
  const { step } = sent;
  const policy = boundPolicy(sent.policy);
  if (policy === sent.policy && (!step || isTime(step.sentTime))) return sent;
  return { ...sent, policy, step: step && { ...step, sentTime: timeOf(step.sentTime) } };
}

function boundStop(stop: StopReceipt): StopReceipt {
  const { steps, extensions, changes, signal, durationMs, requestTime } = stop;
  const most = LIMITS.receiptEntries;
  const policy = boundPolicy(stop.policy);
  const exit = stop.exit && boundExit(stop.exit);
  const isGood =
    policy === stop.policy &&
    exit === stop.exit &&
    steps.length <= most &&
    extensions.length <= most &&
    changes.length <= most &&
    isName(signal) &&
    isAmount(durationMs) &&
    isTime(requestTime) &&
    steps.every(({ sentTime }) => isTime(sentTime)) &&
    changes.every(({ time }) => isTime(time)) &&
    extensions.every(({ time, reason }) => isTime(time) && fits(reason, LIMITS.reasonBytes));
  if (isGood) return stop;
  return {
    ...stop,
    policy,
    exit,
    steps: steps.slice(0, most).map((step) => ({ ...step, sentTime: timeOf(step.sentTime) })),
    extensions: extensions
      .slice(0, most)
      .map((one) => ({ ...one, time: timeOf(one.time), reason: cutText(one.reason, LIMITS.reasonBytes) })),
    changes: changes.slice(0, most).map((one) => ({ ...one, time: timeOf(one.time) })),
    signal: nameOf(signal),
    durationMs: amountOf(durationMs),
    requestTime: timeOf(requestTime),
  };
}

function boundExit(exit: ProcessExit): ProcessExit {
  const { signal, answerTime, durationMs } = exit;
  if (isName(signal) && isTime(answerTime) && isAmount(durationMs)) return exit;
  return { ...exit, signal: nameOf(signal), answerTime: timeOf(answerTime), durationMs: amountOf(durationMs) };
}

/** A policy has at most so many further steps (termination.proto). */
const MOST_ESCALATION = 8;

function boundPolicy(policy: TerminationPolicy | undefined): TerminationPolicy | undefined {
  if (!policy || policy.escalation.length <= MOST_ESCALATION) return policy;
  return { ...policy, escalation: policy.escalation.slice(0, MOST_ESCALATION) };
}

/** An attempt whose error is no longer than this is not made shorter. */
const SHORT_ERROR_BYTES = 512;

/**
 * Attempts within the bytes that one event may keep of them. Errors of older attempts are made short first, their stacks go, then the details of
 * their receipts; numbers, outcomes, codes and times stay. The newest attempt keeps all it has.
 */
export function boundAttempts(attempts: Attempt[]): Attempt[] {
  let bytes = 0;
  for (const { error, stop } of attempts) bytes += error.length + receiptBytes(stop);
  if (bytes <= LIMITS.attemptsBytes) return attempts;
  const bounded = [...attempts];
  for (const shorten of [shortError, shortReceipt, noError]) {
    for (let i = 0; i < bounded.length - 1 && bytes > LIMITS.attemptsBytes; i++) {
      const attempt = bounded[i] as Attempt; // i is within the list
      const short = shorten(attempt);
      bytes += short.error.length + receiptBytes(short.stop) - attempt.error.length - receiptBytes(attempt.stop);
      bounded[i] = short;
    }
  }
  return bounded;
}

function shortError(attempt: Attempt): Attempt {
  const { error } = attempt;
  if (error.length <= SHORT_ERROR_BYTES) return attempt;
  return {
    ...attempt,
    error: Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: messageOf(error), statusCode: attempt.statusCode })),
  };
}

function shortReceipt(attempt: Attempt): Attempt {
  const { stop } = attempt;
  if (!stop || stop.extensions.length + stop.changes.length === 0) return attempt;
  const short: Termination = { ...stop, extensions: [], changes: [] };
  return { ...attempt, stop: short };
}

function noError(attempt: Attempt): Attempt {
  return attempt.error.length === 0 ? attempt : { ...attempt, error: NOTHING };
}

/** The first words of an error. */
function messageOf(error: Buffer): string {
  let text = error.toString('utf8', 0, SHORT_ERROR_BYTES);
  try {
    const { errorMessage } = JSON.parse(error.toString('utf8')) as { errorMessage?: unknown }; // looked at before it is used
    if (typeof errorMessage === 'string') text = errorMessage;
  } catch {
    // not JSON: its first bytes will do
  }
  return cutText(text, SHORT_ERROR_BYTES / 4);
}

function replaced<V>(report: AttemptReport, change: { readonly $case: string; readonly value: V }, value: V): AttemptReport {
  if (value === change.value) return report;
  return { ...report, report: { ...change, value } as AttemptReport['report'] }; // the case and its value belong together
}

function isName(text: string): boolean {
  return fits(text, LIMITS.nameBytes);
}

function nameOf(text: string): string {
  return cutText(text, LIMITS.nameBytes);
}

function isTime(time: Date | undefined): boolean {
  return time === undefined || !Number.isNaN(time.getTime());
}

/** A time that cannot be written is none. */
function timeOf(time: Date | undefined): Date | undefined {
  return isTime(time) ? time : undefined;
}

function isAmount(value: number): boolean {
  return value >= 0 && value < Infinity;
}

function amountOf(value: number): number {
  return isAmount(value) ? value : 0;
}

function isOutcome(outcome: number): boolean {
  return outcome > 0 && outcome <= LAST_OUTCOME;
}
