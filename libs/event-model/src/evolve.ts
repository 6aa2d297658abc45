import {
  Event_State as State,
  type Attempt,
  Attempt_Outcome as Outcome,
  type Delivery,
  Delivery_State as DeliveryState,
  type Event,
} from '@evenfall/contracts/v1/event';
import { Termination_Mode as Mode, Termination_Outcome as StopOutcome, type Termination } from '@evenfall/contracts/v1/termination';
import type { AttemptResult, AttemptStarted, SignalSent } from '@evenfall/contracts/attempt/v1/attempt';
import type {
  AcceptedEvent,
  AttemptEnded,
  DeliveryAttempted,
  EndedUnstarted,
  EventRecord,
  TerminationRequested,
} from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { isNextAttempt, isRunningAttempt } from './attempt-number.ts';
import { boundAttempts, boundEnded } from './bound-ended.ts';
import { endedBytes } from './bytes-of.ts';
import { destinationOf, pendingDelivery } from './destination.ts';
import { errorClassOf } from './error-class.ts';
import { LIMITS } from './limits.ts';
import { isUnasked, newReceipt, openReceipt, withReceipt, withSignal } from './receipt.ts';

const NOTHING = Buffer.alloc(0);
/** More than this the end of an attempt may not take: something in it is beyond its limit. */
const LARGE_BYTES = LIMITS.resultBytes + LIMITS.errorBytes;
const NO_DELIVERIES: Delivery[] = [];
/** What the field of a wait holds; no wait is as long. */
const MOST_WAIT_MS = 2 ** 31 - 1;

/** Whether a state is one that never changes again. */
export function isFinal(state: State): boolean {
  return state === State.SUCCEEDED || state === State.FAILED || state === State.TERMINATED || state === State.EXPIRED;
}

/**
 * Folds one record into an event. `logTimeMs` is when the log took the record, by its own clock, where that is known: the next owner of a partition measures
 * by it. Pure and total: a record that does not fit (a second Accepted, a stale attempt, anything but a delivery
 * after a final state, anything about an event that was not accepted) returns the given state, the same object.
 */
export function evolve(current: FoldedEvent | undefined, record: EventRecord, logTimeMs?: number): FoldedEvent | undefined {
  const change = record.change;
  if (!change) return current;
  if (!current?.event) return change.$case === 'accepted' ? accepted(record, change.value, logTimeMs) : current;
  const { event } = current;
  if (isFinal(event.state)) return change.$case === 'deliveryAttempted' ? deliveryAttempted(current, event, record, change.value) : current;
  switch (change.$case) {
    case 'accepted':
      return current; // the first one wins everywhere
    case 'attemptStarted':
      return isNextAttempt(event, record.attempt) ? started(current, event, record, change.value) : current;
    case 'attemptEnded':
      return attemptEnded(current, event, record, change.value, logTimeMs);
    case 'terminationRequested':
      return terminationRequested(current, event, record, change.value);
    case 'signalSent':
      return isRunningAttempt(event, record.attempt) ? signalSent(current, event, record, change.value) : current;
    case 'endedUnstarted':
      return event.state === State.QUEUED ? endedUnstarted(current, event, record, change.value, logTimeMs) : current;
    case 'deadLetterPurged':
      return current; // the event has ended long ago
    case 'deliveryAttempted':
      return current; // nothing is delivered before the end
    case 'ownerChanged':
      return current; // about no event
  }
}

function next(current: FoldedEvent, event: Event, more?: Partial<FoldedEvent>): FoldedEvent {
  return { ...current, ...more, event, foldCount: current.foldCount + 1 };
}

/** How long an event waits from a record on: until a time that the writer gave with it. 0 without one. */
function waitMsOf(record: EventRecord, until: Date | undefined): number {
  if (!until || !record.time) return 0;
  const waitMs = until.getTime() - record.time.getTime();
  return waitMs > 0 ? Math.min(waitMs, MOST_WAIT_MS) : 0; // not of times that are none either
}

function timeOf(logTimeMs: number | undefined): Date | undefined {
  return logTimeMs === undefined ? undefined : new Date(logTimeMs);
}

function accepted(record: EventRecord, value: AcceptedEvent, logTimeMs: number | undefined): FoldedEvent {
  const logTime = timeOf(logTimeMs);
  return {
    event: {
      id: record.eventId,
      namespace: value.namespace,
      function: value.function,
      qualifier: value.qualifier,
      version: value.version,
      trigger: value.trigger,
      state: State.QUEUED,
      statusCode: 0,
      result: NOTHING,
      error: NOTHING,
      resultTruncated: false,
      createTime: record.time,
      startTime: undefined,
      endTime: undefined,
      nextAttemptTime: value.notBefore,
      attempts: [],
      termination: undefined,
      redrivenFrom: value.redrivenFrom,
      deliveries: NO_DELIVERIES,
      originEventId: value.originEventId,
      requestSha256: value.requestSha256,
    },
    policy: value.policy,
    payload: value.payload,
    revision: value.revision,
    userErrorCount: 0,
    systemErrorCount: 0,
    traceparent: value.traceparent,
    terminationRequest: undefined,
    foldCount: 1,
    depth: value.depth,
    functionUid: value.functionUid,
    accessKeyId: value.accessKeyId,
    acceptLogTime: logTime,
    waitLogTime: logTime,
    waitMs: waitMsOf(record, value.notBefore),
  };
}

function attemptOf(number: number, value: AttemptStarted | undefined): Attempt {
  return {
    number,
    instanceId: value?.instanceId ?? '',
    agentId: value?.agentId ?? '',
    coldStart: value?.coldStart ?? false,
    startTime: value?.startTime,
    endTime: undefined,
    outcome: Outcome.UNSPECIFIED,
    statusCode: 0,
    durationMs: 0,
    memoryBytes: 0n,
    exitCode: 0,
    signal: '',
    error: NOTHING,
    coldStartDetail: value?.coldStartDetail,
    memoryMb: value?.memoryMb ?? 0,
    revision: value?.revision,
    stop: undefined,
  };
}

function started(current: FoldedEvent, event: Event, record: EventRecord, value: AttemptStarted): FoldedEvent {
  return next(current, {
    ...event,
    state: current.terminationRequest ? State.TERMINATING : State.RUNNING,
    // The code and the error were those of the attempt before.
    statusCode: 0,
    error: NOTHING,
    startTime: event.startTime ?? value.startTime ?? record.time,
    nextAttemptTime: undefined,
    attempts: [...event.attempts, attemptOf(record.attempt, value)],
  });
}

function attemptEnded(
  current: FoldedEvent,
  event: Event,
  record: EventRecord,
  value: AttemptEnded,
  logTimeMs: number | undefined,
): FoldedEvent {
  // Records are made within the limits; a log of before may hold larger ones.
  const ended =
    value.attemptResult && endedBytes(value.attemptResult) > LARGE_BYTES ? boundEnded(value.attemptResult) : value.attemptResult;
  const fresh = isNextAttempt(event, record.attempt);
  if (!ended || !(fresh || isRunningAttempt(event, record.attempt))) return current;
  const before = fresh ? attemptOf(record.attempt, value.started) : (event.attempts[event.attempts.length - 1] as Attempt); // isRunningAttempt: there is one
  const attempt: Attempt = {
    ...before,
    endTime: ended.endTime,
    outcome: ended.outcome,
    statusCode: ended.statusCode,
    durationMs: ended.durationMs,
    memoryBytes: ended.memoryBytes,
    exitCode: ended.exitCode,
    signal: ended.signal,
    error: ended.error,
    stop: attemptReceiptOf(before, ended, record.time),
  };
  const final = isFinal(value.state);
  const deliveries = deliveriesOf(current, value.state, record.time);
  const errorClass = errorClassOf(ended.statusCode);
  return next(
    current,
    {
      ...event,
      state: value.state,
      statusCode: ended.statusCode,
      result: ended.result,
      error: ended.error,
      resultTruncated: ended.resultTruncated,
      startTime: event.startTime ?? before.startTime,
      endTime: final ? record.time : undefined,
      nextAttemptTime: final ? undefined : value.retryTime,
      attempts: boundAttempts(fresh ? [...event.attempts, attempt] : [...event.attempts.slice(0, -1), attempt]),
      termination: event.termination && receiptOf(event.termination, ended),
      deliveries,
    },
    {
      payload: final && deliveries.length === 0 ? NOTHING : current.payload,
      userErrorCount: current.userErrorCount + (errorClass === 'USER' ? 1 : 0),
      systemErrorCount: errorClass === 'SYSTEM' ? current.systemErrorCount + 1 : 0,
      waitLogTime: timeOf(logTimeMs),
      waitMs: final ? 0 : waitMsOf(record, value.retryTime),
    },
  );
}

/** The attempt's own receipt once it is over: of a stop that no caller requested. What callers requested meanwhile is on the receipt of the event. */
function attemptReceiptOf({ stop: before }: Attempt, ended: AttemptResult, time: Date | undefined): Termination | undefined {
  const { stop } = ended;
  if (!stop) return before && { ...before, outcome: outcomeWithoutStop(ended.outcome), endTime: ended.endTime };
  if (!isUnasked(stop.cause)) return undefined;
  // The agent asked: its time counts, not that of a record about it.
  return withReceipt({ ...(before ?? openReceipt(stop, time)), requestTime: stop.requestTime ?? before?.requestTime ?? time }, ended);
}

/** The event's receipt once the attempt is over; without a part of the agent's in it the attempt had ended, or was lost, before any signal. */
function receiptOf(termination: Termination, ended: AttemptResult): Termination {
  const { stop } = ended;
  if (!stop) return { ...termination, outcome: outcomeWithoutStop(ended.outcome), endTime: ended.endTime };
  // Stopped for a reason of the platform's before the request reached it: that receipt is the attempt's.
  if (isUnasked(stop.cause)) return { ...termination, outcome: StopOutcome.ENDED_BEFORE_SIGNAL, endTime: ended.endTime };
  return withReceipt(termination, ended);
}

function outcomeWithoutStop(outcome: Outcome): StopOutcome {
  if (outcome === Outcome.LOST || outcome === Outcome.DRAINED) return StopOutcome.LOST;
  return outcome === Outcome.START_FAILED ? StopOutcome.NEVER_STARTED : StopOutcome.ENDED_BEFORE_SIGNAL;
}

function terminationRequested(current: FoldedEvent, event: Event, record: EventRecord, value: TerminationRequested): FoldedEvent {
  const first = event.termination;
  // The receipt names the first requester; force always applies.
  const mode = first?.mode === Mode.FORCE ? Mode.FORCE : value.mode;
  const termination = first ? { ...first, mode } : newReceipt({ ...value, requestTime: record.time });
  const state = event.state === State.RUNNING ? State.TERMINATING : event.state;
  return next(current, { ...event, state, termination }, { terminationRequest: { ...value, mode, audit: undefined } });
}

function signalSent(current: FoldedEvent, event: Event, record: EventRecord, value: SignalSent): FoldedEvent {
  if (isUnasked(value.cause)) {
    const running = event.attempts[event.attempts.length - 1] as Attempt; // isRunningAttempt: there is one
    const stop = withSignal(
      // The agent requested it just before it sent the signal; this record is newer.
      running.stop ?? openReceipt({ cause: value.cause, mode: Mode.GRACEFUL, requestTime: value.step?.sentTime }, record.time),
      value,
    );
    return next(current, { ...event, attempts: [...event.attempts.slice(0, -1), { ...running, stop }] });
  }
  return event.termination ? next(current, { ...event, termination: withSignal(event.termination, value) }) : current;
}

function endedUnstarted(
  current: FoldedEvent,
  event: Event,
  record: EventRecord,
  value: EndedUnstarted,
  logTimeMs: number | undefined,
): FoldedEvent {
  const deliveries = deliveriesOf(current, value.state, record.time);
  return next(
    current,
    {
      ...event,
      state: value.state,
      statusCode: value.state === State.TERMINATED ? 499 : event.statusCode,
      endTime: record.time,
      nextAttemptTime: undefined,
      termination: event.termination && { ...event.termination, outcome: StopOutcome.NEVER_STARTED, endTime: record.time },
      deliveries,
    },
    { payload: deliveries.length === 0 ? NOTHING : current.payload, waitLogTime: timeOf(logTimeMs), waitMs: 0 },
  );
}

/** The pending delivery of an event in this final state. Its payload is kept while the delivery is pending. */
function deliveriesOf({ policy }: FoldedEvent, state: State, time: Date | undefined): Delivery[] {
  const target = destinationOf(policy, state);
  return target ? [pendingDelivery(target, time)] : NO_DELIVERIES;
}

/** The first final word about a delivery counts; of attempts the newest. */
function deliveryAttempted(current: FoldedEvent, event: Event, record: EventRecord, value: DeliveryAttempted): FoldedEvent {
  const [pending] = event.deliveries;
  if (pending?.state !== DeliveryState.PENDING) return current;
  const isOver = value.state === DeliveryState.DELIVERED || value.state === DeliveryState.FAILED;
  if (!isOver && value.attemptCount <= pending.attemptCount) return current;
  const attemptCount = Math.max(value.attemptCount, pending.attemptCount);
  const state = isOver ? value.state : DeliveryState.PENDING;
  const lastError = value.error === '' ? pending.lastError : value.error;
  const delivery: Delivery = { ...pending, state, attemptCount, lastError, eventId: value.eventId, time: record.time };
  return next(current, { ...event, deliveries: [delivery] }, isOver ? { payload: NOTHING } : {});
}
