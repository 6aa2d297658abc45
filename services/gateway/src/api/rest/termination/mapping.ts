import {
  Containment,
  type GraceExtension,
  KillSignal,
  type ProcessExit,
  ProcessExit_Kind,
  SignalScope,
  type Termination,
  Termination_Cause,
  Termination_Mode,
  Termination_Outcome,
  type TerminationByCause,
  type TerminationChange,
  TerminationChange_Effect,
  TerminationPolicy,
  type TerminationStep,
  TerminationStep_Delivery,
  TerminationStep_Disposition,
  TerminationStep_Reception,
} from '@evenfall/contracts/v1/termination';
import { durationOfMs, formatDuration, msOfDuration, parseDuration, type ProtoDuration } from '@evenfall/time';
import { nameOf, valueOf } from '../json/enum-names.ts';
import type { ByCauseBody, PolicyBody } from '../json/schemas.ts';

export function durationText(duration: ProtoDuration | undefined): string | undefined {
  return duration && formatDuration(msOfDuration(duration));
}

/** Reads a duration that a schema has let through. */
export function durationFrom(text: string | undefined): ProtoDuration | undefined {
  const ms = text === undefined ? undefined : parseDuration(text);
  return ms === undefined ? undefined : durationOfMs(ms);
}

export function policyJson(policy: TerminationPolicy): object {
  return {
    kill_signal: nameOf(KillSignal, policy.killSignal),
    grace_period: durationText(policy.gracePeriod),
    max_grace_period: durationText(policy.maxGracePeriod),
    escalation: policy.escalation.map((step) => ({ signal: nameOf(KillSignal, step.signal), wait: durationText(step.wait) })),
    signal_scope: nameOf(SignalScope, policy.signalScope),
    exit_grace: durationText(policy.exitGrace),
    exit_after_answer: policy.exitAfterAnswer,
  };
}

export function policyFrom(body: PolicyBody): TerminationPolicy {
  return TerminationPolicy.create({
    killSignal: valueOf(KillSignal, body.kill_signal),
    gracePeriod: durationFrom(body.grace_period),
    maxGracePeriod: durationFrom(body.max_grace_period),
    escalation: (body.escalation ?? []).map((step) => ({ signal: valueOf(KillSignal, step.signal), wait: durationFrom(step.wait) })),
    signalScope: valueOf(SignalScope, body.signal_scope),
    exitGrace: durationFrom(body.exit_grace),
    exitAfterAnswer: body.exit_after_answer,
  });
}

export function byCauseJson({ timeout, drain, update }: TerminationByCause): object {
  return {
    ...(timeout ? { timeout: policyJson(timeout) } : {}),
    ...(drain ? { drain: policyJson(drain) } : {}),
    ...(update ? { update: policyJson(update) } : {}),
  };
}

export function byCauseFrom({ timeout, drain, update }: ByCauseBody): TerminationByCause {
  return { timeout: timeout && policyFrom(timeout), drain: drain && policyFrom(drain), update: update && policyFrom(update) };
}

/** The receipt, as callers read it. */
export function terminationJson(termination: Termination): object {
  const outcome = nameOf(Termination_Outcome, termination.outcome);
  return {
    cause: nameOf(Termination_Cause, termination.cause) ?? null,
    mode: nameOf(Termination_Mode, termination.mode) ?? null,
    requester: termination.requester,
    reason: termination.reason,
    request_time: termination.requestTime ?? null,
    policy: termination.policy ? policyJson(termination.policy) : null,
    steps: termination.steps.map(stepJson),
    outcome: outcome ?? null,
    ...(outcome === 'EXITED' ? { exit_code: termination.exitCode } : {}),
    ...(termination.signal === '' ? {} : { signal: termination.signal }),
    end_time: termination.endTime ?? null,
    duration_ms: termination.durationMs,
    swept_process_count: termination.sweptProcessCount,
    containment: nameOf(Containment, termination.containment) ?? null,
    extensions: termination.extensions.map(extensionJson),
    changes: termination.changes.map(changeJson),
    exit: termination.exit ? exitJson(termination.exit) : null,
  };
}

function extensionJson({ time, requested, granted, reason }: GraceExtension): object {
  return { time: time ?? null, requested: durationText(requested), granted: durationText(granted), ...(reason === '' ? {} : { reason }) };
}

function exitJson({ kind, exitCode, signal, answerTime, durationMs }: ProcessExit): object {
  const name = nameOf(ProcessExit_Kind, kind) ?? null;
  return {
    kind: name,
    ...(name === 'EXITED' ? { exit_code: exitCode } : {}),
    ...(signal === '' ? {} : { signal }),
    answer_time: answerTime ?? null,
    duration_ms: durationMs,
  };
}

function changeJson({ time, cause, mode, gracePeriod, effect }: TerminationChange): object {
  return {
    time: time ?? null,
    cause: nameOf(Termination_Cause, cause) ?? null,
    mode: nameOf(Termination_Mode, mode) ?? null,
    grace_period: durationText(gracePeriod),
    effect: nameOf(TerminationChange_Effect, effect) ?? null,
  };
}

function stepJson(step: TerminationStep): object {
  return {
    signal: nameOf(KillSignal, step.signal) ?? null,
    sent_time: step.sentTime ?? null,
    disposition: nameOf(TerminationStep_Disposition, step.disposition) ?? 'UNKNOWN',
    delivery: nameOf(TerminationStep_Delivery, step.delivery) ?? null,
    reception: nameOf(TerminationStep_Reception, step.reception) ?? null,
  };
}
