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
import { nameOf, valueOf } from '../json/enum-names.ts';
import { always, defined, durationFrom, durationText } from '../json/values.ts';
import type { AppliedPolicyBody, ByCauseBody, PolicyBody, TerminationBody } from './schema.ts';

/** A policy of settings. */
export function policyJson(policy: TerminationPolicy): PolicyBody {
  return appliedPolicyJson(policy) as PolicyBody; // settings have no SIGKILL: the registry refuses it
}

function appliedPolicyJson(policy: TerminationPolicy): AppliedPolicyBody {
  return defined({
    kill_signal: nameOf(KillSignal, policy.killSignal),
    grace_period: durationText(policy.gracePeriod),
    max_grace_period: durationText(policy.maxGracePeriod),
    escalation: policy.escalation.map(({ signal, wait }) => ({
      signal: nameOf(KillSignal, signal) as EscalationSignal, // no step has SIGKILL, which comes after all of them
      wait: always(durationText(wait)),
    })),
    signal_scope: nameOf(SignalScope, policy.signalScope),
    exit_grace: durationText(policy.exitGrace),
    exit_after_answer: policy.exitAfterAnswer,
  });
}

type EscalationSignal = NonNullable<PolicyBody['escalation']>[number]['signal'];

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

export function byCauseJson({ timeout, drain, update }: TerminationByCause): ByCauseBody {
  return defined({
    timeout: timeout && policyJson(timeout),
    drain: drain && policyJson(drain),
    update: update && policyJson(update),
  });
}

export function byCauseFrom({ timeout, drain, update }: ByCauseBody): TerminationByCause {
  return { timeout: timeout && policyFrom(timeout), drain: drain && policyFrom(drain), update: update && policyFrom(update) };
}

/** The receipt, as callers read it. */
export function terminationJson(termination: Termination): TerminationBody {
  const outcome = nameOf(Termination_Outcome, termination.outcome);
  return {
    cause: always(nameOf(Termination_Cause, termination.cause)),
    mode: always(nameOf(Termination_Mode, termination.mode)),
    requester: termination.requester,
    reason: termination.reason,
    request_time: always(termination.requestTime),
    policy: termination.policy ? appliedPolicyJson(termination.policy) : null,
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

function extensionJson({ time, requested, granted, reason }: GraceExtension): TerminationBody['extensions'][number] {
  return {
    time: always(time),
    requested: always(durationText(requested)),
    granted: always(durationText(granted)),
    ...(reason === '' ? {} : { reason }),
  };
}

function exitJson({ kind, exitCode, signal, answerTime, durationMs }: ProcessExit): NonNullable<TerminationBody['exit']> {
  const name = nameOf(ProcessExit_Kind, kind);
  return {
    kind: always(name),
    ...(name === 'EXITED' ? { exit_code: exitCode } : {}),
    ...(signal === '' ? {} : { signal }),
    answer_time: always(answerTime),
    duration_ms: durationMs,
  };
}

function changeJson({ time, cause, mode, gracePeriod, effect }: TerminationChange): TerminationBody['changes'][number] {
  return {
    time: always(time),
    cause: always(nameOf(Termination_Cause, cause)),
    mode: always(nameOf(Termination_Mode, mode)),
    grace_period: always(durationText(gracePeriod)),
    effect: always(nameOf(TerminationChange_Effect, effect)),
  };
}

function stepJson(step: TerminationStep): TerminationBody['steps'][number] {
  return {
    signal: always(nameOf(KillSignal, step.signal)),
    sent_time: always(step.sentTime),
    disposition: nameOf(TerminationStep_Disposition, step.disposition) ?? 'UNKNOWN',
    delivery: always(nameOf(TerminationStep_Delivery, step.delivery)),
    reception: nameOf(TerminationStep_Reception, step.reception) ?? null,
  };
}
