import { StopAttempt, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import {
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  Termination_Outcome as StopOutcome,
} from '@evenfall/contracts/v1/termination';
import { forcedPolicy, resolvePolicy } from '../domain/termination-plan.ts';
import { type Agent, type Attempt, type Instance, keyOf } from './agent.ts';
import { beginStop, deadlineOf, forcedStop, planFromNow, recordOf, type StopAsked, withdraw } from './begin-stop.ts';
import { revoke } from './end-attempt.ts';
import { reportAgain, reportUnknownAttempt } from './run-attempt.ts';

/** Stops an attempt wherever it stands. Asked twice it may shorten what was asked first, never stretch it; force wins. */
export function stopAttempt(agent: Agent, request: StopAttempt): void {
  const attempt = agent.attempts.get(keyOf(request.eventId, request.attempt));
  // Asked back, if it has not started. What is not here, or has started, needs no other answer than its own.
  const isOnlyAskedBack = request.mode === Mode.UNSPECIFIED;
  if (isOnlyAskedBack && attempt?.phase !== 'WAITING') return;
  if (!attempt) return reportUnknownAttempt(agent, request);
  switch (attempt.phase) {
    case 'WAITING':
      return askBack(agent, attempt, request);
    case 'RUNNING':
      return attempt.instance && stopRunning(agent, attempt.instance, attempt, request);
    case 'REPORTING':
      attempt.stop ??= recordOf(agent, askedOf(agent, attempt.instance, attempt, request), true);
      return;
    case 'ENDED':
      addLateReceipt(agent, attempt, request);
      return reportAgain(agent, attempt);
  }
}

/** Takes an attempt back that has not begun. From a runtime that was given it and has not taken it, that is certain only once it is gone. */
function askBack(agent: Agent, attempt: Attempt, request: StopAttempt): void {
  const { instance } = attempt;
  if (instance && instance.current === attempt) {
    attempt.isAskedBack = true;
    const isOnlyAskedBack = request.mode === Mode.UNSPECIFIED;
    return withdraw(agent, instance, attempt, isOnlyAskedBack ? forcedStop(Cause.WITHDRAWN) : askedOf(agent, instance, attempt, request));
  }
  const at = instance?.waiting.indexOf(attempt) ?? -1;
  if (at >= 0) instance?.waiting.splice(at, 1);
  revoke(agent, attempt);
}

function stopRunning(agent: Agent, instance: Instance, attempt: Attempt, request: StopAttempt): void {
  const asked = askedOf(agent, instance, attempt, request);
  const ending = { kind: 'FORCE_KILLED' } as const;
  beginStop(agent, instance, attempt, asked, asked.mode === Mode.GRACEFUL ? planFromNow(agent, asked.policy, ending) : undefined, ending);
}

function askedOf(agent: Agent, instance: Instance | undefined, attempt: Attempt, request: StopAttempt): StopAsked {
  const { mode, policy, cause } = request;
  const words = Buffer.from(StopAttempt.encode(request).finish()).toString('base64');
  if (mode !== Mode.GRACEFUL) return { cause, mode, policy: forcedPolicy(), request: words };
  const nowMs = attempt.phase === 'WAITING' ? attempt.startMs : agent.clock.monotonic(); // one that waits has all its time before it
  const leftMs = instance ? Math.max(0, deadlineOf(instance, attempt) - nowMs) : 0;
  return { cause, mode, policy: resolvePolicy(policy, instance?.fn.termination, leftMs), request: words };
}

/** It was over before anybody asked: its kept report is sent again with a receipt that says so. */
function addLateReceipt(agent: Agent, attempt: Attempt, request: StopAttempt): void {
  const report = attempt.ended?.report;
  if (!attempt.ended || report?.$case !== 'ended' || report.value.stop) return;
  const late = recordOf(agent, askedOf(agent, undefined, attempt, request), true);
  const stop = {
    ...StopReceipt.create({ policy: late.policyMessage, outcome: StopOutcome.ENDED_BEFORE_SIGNAL }),
    cause: late.cause,
    mode: late.mode,
    requestTime: late.requestTime,
  };
  attempt.ended = { ...attempt.ended, report: { $case: 'ended', value: { ...report.value, stop } } };
}
