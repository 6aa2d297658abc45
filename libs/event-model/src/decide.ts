import {
  Delivery_State as DeliveryState,
  Event_State as State,
  Attempt_Outcome as Outcome,
  type Event,
} from '@evenfall/contracts/v1/event';
import { Termination_Mode as Mode, Termination_Outcome as StopOutcome } from '@evenfall/contracts/v1/termination';
import type { AttemptResult, AttemptStarted, SignalSent } from '@evenfall/contracts/attempt/v1/attempt';
import type { AttemptEnded, DeliveryAttempted, EventRecord, TerminationRequested } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { type Refusal, refuse } from '@evenfall/errors';
import { formatDuration, msOfDuration } from '@evenfall/time';
import { isNextAttempt, isRunningAttempt } from './attempt-number.ts';
import { systemBackoffMs } from './backoff.ts';
import { boundEnded, boundSignal, boundStarted } from './bound-ended.ts';
import { errorClassOf } from './error-class.ts';
import { isFinal } from './evolve.ts';
import { LIMITS } from './limits.ts';
import { isUnasked } from './receipt.ts';

/** What may be asked of, or reported about, an event. */
export type Command =
  | { readonly kind: 'ATTEMPT_STARTED'; readonly attempt: number; readonly started: AttemptStarted }
  | { readonly kind: 'ATTEMPT_ENDED'; readonly attempt: number; readonly ended: AttemptResult; readonly random: number }
  | { readonly kind: 'SIGNAL_SENT'; readonly attempt: number; readonly sent: SignalSent }
  /** An attempt that had been dispatched came back without having run. */
  | { readonly kind: 'ATTEMPT_REVOKED'; readonly attempt: number }
  /** `dispatched`: whether the next attempt is on its way, so that it may have started already. */
  | { readonly kind: 'TERMINATE'; readonly request: TerminationRequested; readonly dispatched: boolean }
  | { readonly kind: 'EXPIRE' }
  /** An attempt to deliver the result to the destination is over. */
  | { readonly kind: 'DELIVERY_ATTEMPTED'; readonly attempted: DeliveryAttempted };

type Change = NonNullable<EventRecord['change']>;

/**
 * Decides what a command does to an event: the changes to record, none if it is said twice or too late, or a refusal. What an agent reports is
 * recorded within the limits, whatever it sent.
 * Pure: time and chance come in. The caller appends the changes before it notifies anyone.
 */
export function decide(
  folded: FoldedEvent,
  command: Command,
  nowMs: number,
  agedMs = nowMs - (folded.event?.createTime?.getTime() ?? 0),
): readonly Change[] | Refusal {
  const { event } = folded;
  if (!event) return [];
  if (isFinal(event.state)) {
    if (command.kind === 'DELIVERY_ATTEMPTED') return deliver(event, command.attempted);
    return command.kind === 'TERMINATE' ? refuse('EVENT_ENDED', { event_id: event.id, state: stateName(event.state) }) : [];
  }
  switch (command.kind) {
    case 'ATTEMPT_STARTED':
      return isNextAttempt(event, command.attempt)
        ? [{ $case: 'attemptStarted', value: boundStarted(command.started) }]
        : stale(event, command.attempt);
    case 'SIGNAL_SENT':
      if (!isRunningAttempt(event, command.attempt)) return stale(event, command.attempt);
      return signalCount(event) < LIMITS.receiptEntries ? [{ $case: 'signalSent', value: boundSignal(command.sent) }] : [];
    case 'ATTEMPT_ENDED':
      if (!isRunningAttempt(event, command.attempt) && !isNextAttempt(event, command.attempt)) return stale(event, command.attempt);
      return [{ $case: 'attemptEnded', value: conclude(folded, event, boundEnded(command.ended), command.random, nowMs, agedMs) }];
    case 'ATTEMPT_REVOKED':
      if (!isNextAttempt(event, command.attempt)) return stale(event, command.attempt);
      return folded.terminationRequest ? [{ $case: 'endedUnstarted', value: { state: State.TERMINATED } }] : [];
    case 'TERMINATE':
      return terminate(folded, event, command.request, command.dispatched);
    case 'EXPIRE':
      return event.state === State.QUEUED && agedMs >= maxAgeMs(folded)
        ? [{ $case: 'endedUnstarted', value: { state: State.EXPIRED } }]
        : [];
    case 'DELIVERY_ATTEMPTED':
      return []; // nothing is delivered before the end
  }
}

/** Signals on the receipts of the attempt that runs. */
function signalCount({ termination, attempts }: Event): number {
  return (termination?.steps.length ?? 0) + (attempts[attempts.length - 1]?.stop?.steps.length ?? 0);
}

function deliver({ deliveries }: Event, attempted: DeliveryAttempted): readonly Change[] {
  return deliveries[0]?.state === DeliveryState.PENDING ? [{ $case: 'deliveryAttempted', value: attempted }] : [];
}

/** Said again, or by an attempt of the past. The first is nothing; both change nothing. */
function stale(event: Event, attempt: number): readonly Change[] | Refusal {
  return isRunningAttempt(event, attempt) ? [] : refuse('STALE_ATTEMPT', { event_id: event.id, attempt });
}

function maxAgeMs({ policy }: FoldedEvent): number {
  return policy?.maxEventAgeMs ?? 0;
}

function terminate(folded: FoldedEvent, event: Event, request: TerminationRequested, dispatched: boolean): readonly Change[] | Refusal {
  const graceMs = msOfDuration(request.policy?.gracePeriod);
  const mostMs = folded.policy?.maxGracePeriodMs ?? 0;
  if (request.mode === Mode.GRACEFUL && graceMs !== undefined && graceMs > mostMs) {
    return refuse('GRACE_PERIOD_TOO_LONG', { grace_period: formatDuration(graceMs), max_grace_period: formatDuration(mostMs) });
  }
  const asked: Change = { $case: 'terminationRequested', value: request };
  if (event.state !== State.QUEUED || dispatched) return [asked];
  return [asked, { $case: 'endedUnstarted', value: { state: State.TERMINATED } }];
}

function conclude(folded: FoldedEvent, event: Event, report: AttemptResult, random: number, nowMs: number, agedMs: number): AttemptEnded {
  const { started: repeated, ...ended } = report;
  // The log has every start once: with the end if no record of its own came before it.
  const started = event.state === State.QUEUED ? repeated : undefined;
  const final = (state: State): AttemptEnded => ({ started, attemptResult: ended, state, retryTime: undefined });
  if (folded.terminationRequest) return final(stateAfterTermination(ended));
  const waitMs = retryDelayMs(folded, ended.statusCode, random);
  if (waitMs === 'NONE') return final(State.SUCCEEDED);
  // A retry that could not start within the event's age would only hide the error behind EXPIRED.
  if (waitMs === 'NEVER' || agedMs + waitMs >= maxAgeMs(folded)) return final(State.FAILED);
  return { started, attemptResult: ended, state: State.QUEUED, retryTime: new Date(nowMs + waitMs) };
}

function retryDelayMs(folded: FoldedEvent, statusCode: number, random: number): number | 'NONE' | 'NEVER' {
  switch (errorClassOf(statusCode)) {
    case 'NONE':
      return 'NONE';
    case 'USER':
      return folded.userErrorCount < (folded.policy?.maxRetries ?? 0) ? (folded.policy?.retryIntervalMs ?? 0) : 'NEVER';
    case 'SYSTEM':
    case 'THROTTLED':
      return systemBackoffMs(folded.systemErrorCount, random);
    case 'CALLER':
      return 'NEVER';
  }
}

/** What happened before the signal wins over what was asked; after it the event is terminated, however the attempt ended. */
function stateAfterTermination(ended: AttemptResult): State {
  const { stop } = ended;
  const signalled = stop !== undefined && !isUnasked(stop.cause) && stop.outcome !== StopOutcome.ENDED_BEFORE_SIGNAL;
  const neverRan = ended.outcome === Outcome.START_FAILED || ended.outcome === Outcome.LOST || ended.outcome === Outcome.DRAINED;
  if (signalled || neverRan) return State.TERMINATED;
  return ended.outcome === Outcome.RETURNED && ended.statusCode === 200 ? State.SUCCEEDED : State.FAILED;
}

function stateName(state: State): string {
  return Object.entries(State).find(([, value]) => value === state)?.[0] ?? String(state);
}
