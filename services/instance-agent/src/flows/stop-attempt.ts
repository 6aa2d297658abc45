import type { StopAttempt } from '@evenfall/contracts/attempt/v1/attempt';
import { Termination_Mode as Mode, Termination_Outcome as StopOutcome } from '@evenfall/contracts/v1/termination';
import { forcedPolicy, planOf, policyMessage, type ResolvedPolicy, resolvePolicy } from '../domain/termination-plan.ts';
import { type Agent, type Attempt, type Instance, keyOf, type StopRecord } from './agent.ts';
import { reportAgain, reportUnknownAttempt } from './run-attempt.ts';

/** Stops an attempt wherever it stands. Asked twice it may shorten what was asked first, never stretch it; force wins. */
export function stopAttempt(agent: Agent, request: StopAttempt): void {
  const attempt = agent.attempts.get(keyOf(request.eventId, request.attempt));
  if (!attempt) return reportUnknownAttempt(agent, request.eventId, request.attempt);
  switch (attempt.phase) {
    case 'WAITING':
      return revoke(agent, attempt);
    case 'RUNNING':
      return attempt.instance && stopRunning(agent, attempt.instance, attempt, request);
    case 'REPORTING':
      attempt.stop ??= recordOf(agent, policyOf(agent, attempt.instance, request), true);
      return;
    case 'ENDED':
      addLateReceipt(agent, attempt, request);
      return reportAgain(agent, attempt);
  }
}

function revoke(agent: Agent, attempt: Attempt): void {
  const waiting = attempt.instance?.waiting;
  const at = waiting?.indexOf(attempt) ?? -1;
  if (at >= 0) waiting?.splice(at, 1);
  agent.attempts.delete(attempt.key);
  agent.outbox.report({ eventId: attempt.eventId, attempt: attempt.number, report: { $case: 'revoked', value: {} } });
}

function stopRunning(agent: Agent, instance: Instance, attempt: Attempt, request: StopAttempt): void {
  const running = instance.life.kind === 'BUSY' || instance.life.kind === 'TERMINATING';
  const policy = policyOf(agent, instance, request);
  attempt.stop ??= recordOf(agent, policy, !running);
  if (!running) return;
  if (request.mode === Mode.GRACEFUL) agent.feed(instance, { kind: 'STOP_GRACEFUL', plan: planOf(policy, agent.clock.monotonic()) });
  else agent.feed(instance, { kind: 'KILL_ORDERED', ending: { kind: 'FORCE_KILLED' } });
}

function policyOf(agent: Agent, instance: Instance | undefined, request: StopAttempt): ResolvedPolicy {
  if (request.mode !== Mode.GRACEFUL) return forcedPolicy();
  const leftMs = instance ? Math.max(0, instance.dueMs - agent.clock.monotonic()) : 0;
  return resolvePolicy(request.policy, instance?.fn.termination, leftMs);
}

function recordOf(agent: Agent, policy: ResolvedPolicy, tooLate: boolean): StopRecord {
  return { policy, policyMessage: policyMessage(policy), steps: [], askedMs: agent.clock.monotonic(), tooLate };
}

/** It was over before anybody asked: its kept report is sent again with a receipt that says so. */
function addLateReceipt(agent: Agent, attempt: Attempt, request: StopAttempt): void {
  const report = attempt.ended?.report;
  if (!attempt.ended || report?.$case !== 'ended' || report.value.stop) return;
  const { policyMessage: policy } = recordOf(agent, policyOf(agent, undefined, request), true);
  const stop = {
    policy,
    steps: [],
    outcome: StopOutcome.ENDED_BEFORE_SIGNAL,
    sweptProcessCount: 0,
    durationMs: 0,
    exitCode: 0,
    signal: '',
  };
  attempt.ended = { ...attempt.ended, report: { $case: 'ended', value: { ...report.value, stop } } };
}
