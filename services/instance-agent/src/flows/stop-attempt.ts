import { StopAttempt, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import {
  Termination_Cause as Cause,
  Termination_Mode as Mode,
  Termination_Outcome as StopOutcome,
} from '@evenfall/contracts/v1/termination';
import { forcedPolicy, resolvePolicy } from '../domain/termination-plan.ts';
import type { Agent } from './agent.ts';
import { instanceOf, keyOf } from './attempt.ts';
import { beginStop, deadlineOf, forcedStop, noteLateStop, planFromNow, recordOf, type StopRequest, withdraw } from './begin-stop.ts';
import { revoke } from './end-attempt.ts';
import { removeWaiting } from './instance-work.ts';
import { repeatReport, reportUnknownAttempt } from './run-attempt.ts';
import type { Attempt, EndedPhase, RunningPhase } from './types.ts';

/** Stops an attempt in any phase. A second request may shorten what was requested first, never stretch it; force wins. */
export function stopAttempt(agent: Agent, message: StopAttempt): void {
  const attempt = agent.attempts.get(keyOf(message.eventId, message.attempt));
  const phase = attempt?.phase;
  const hasNotBegun = phase?.kind === 'WAITING' || phase?.kind === 'HANDED_OVER';
  // A recall: it is answered only by an attempt that has not begun. An unknown one, or one that has, needs no other answer than its own.
  if (isRecall(message) && !hasNotBegun) return;
  if (!attempt || !phase) return reportUnknownAttempt(agent, message);
  switch (phase.kind) {
    case 'WAITING':
      if (phase.instance) removeWaiting(phase.instance, attempt);
      return revoke(agent, attempt);
    case 'HANDED_OVER':
      // That it has not begun is certain only once its runtime is gone.
      phase.isRecalled = true;
      return withdraw(agent, phase, isRecall(message) ? forcedStop(Cause.WITHDRAWN) : requestOf(agent, attempt, message));
    case 'RUNNING':
      return stopRunning(agent, phase, requestOf(agent, attempt, message));
    case 'REPORTING':
      return noteLateStop(agent, phase, requestOf(agent, attempt, message));
    case 'ENDED':
      addLateReceipt(agent, phase, requestOf(agent, attempt, message));
      return repeatReport(agent, attempt);
  }
}

function isRecall({ mode }: StopAttempt): boolean {
  return mode === Mode.UNSPECIFIED;
}

function stopRunning(agent: Agent, phase: RunningPhase, request: StopRequest): void {
  const end = { kind: 'FORCE_KILLED' } as const;
  const plan = request.mode === Mode.GRACEFUL ? planFromNow(agent, request.policy, end) : undefined;
  beginStop(agent, phase.instance, phase, request, plan, end);
}

function requestOf(agent: Agent, attempt: Attempt, message: StopAttempt): StopRequest {
  const { mode, policy, cause } = message;
  const request = Buffer.from(StopAttempt.encode(message).finish()).toString('base64');
  if (mode !== Mode.GRACEFUL) return { cause, mode, policy: forcedPolicy(), request };
  const instance = instanceOf(attempt);
  const nowMs = attempt.phase.kind === 'HANDED_OVER' ? 0 : agent.clock.monotonic(); // one that has not begun has all its time before it
  const leftMs = instance ? Math.max(0, deadlineOf(instance, attempt) - nowMs) : 0;
  return { cause, mode, policy: resolvePolicy(policy, instance?.fn.termination, leftMs), request };
}

/** It was over before the stop was requested: its kept report is sent again with a receipt that says so. */
function addLateReceipt(agent: Agent, phase: EndedPhase, request: StopRequest): void {
  const { report } = phase.report;
  if (report?.$case !== 'ended' || report.value.stop) return;
  const late = recordOf(agent, request, true);
  const stop = {
    ...StopReceipt.create({ policy: late.policyMessage, outcome: StopOutcome.ENDED_BEFORE_SIGNAL }),
    cause: late.cause,
    mode: late.mode,
    requestTime: late.requestTime,
  };
  phase.report = { ...phase.report, report: { $case: 'ended', value: { ...report.value, stop } } };
}
