import type { StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import {
  Containment,
  KillSignal,
  type ProcessExit,
  ProcessExit_Kind as Kind,
  Termination_Outcome as StopOutcome,
  type TerminationStep,
  TerminationStep_Delivery as Delivery,
  TerminationStep_Disposition as Disposition,
  TerminationStep_Reception as Reception,
} from '@evenfall/contracts/v1/termination';
import type { ReportingPhase } from './types.ts';

/** The receipt of the stop of an attempt: what was requested, what was sent when, and how it ended. Undefined if it was not stopped. */
export function receiptOf(phase: ReportingPhase): StopReceipt | undefined {
  const { stop, outcome, instance, endMs } = phase;
  if (!stop) return undefined;
  const isEarly = stop.isTooLate;
  return {
    policy: stop.policyMessage,
    steps: stop.steps.map((step) => (hasOutlived(phase, step) ? { ...step, reception: Reception.TAKEN } : step)),
    outcome: isEarly ? StopOutcome.ENDED_BEFORE_SIGNAL : outcome.stopOutcome,
    sweptProcessCount: isEarly ? 0 : (instance?.sweptCount ?? 0),
    durationMs: isEarly ? 0 : endMs - stop.requestMs,
    exitCode: isEarly ? 0 : outcome.exitCode,
    signal: isEarly ? '' : outcome.signal,
    cause: stop.cause,
    mode: stop.mode,
    requestTime: stop.requestTime,
    containment: isEarly ? Containment.UNSPECIFIED : containmentOf(phase),
    extensions: stop.extensions,
    changes: stop.changes,
    exit: isEarly ? undefined : processExitOf(phase),
  };
}

/** Whether an attempt answered after a signal whose default action is death, and its process did not die of it: something in it received the signal. */
function hasOutlived({ answer, instance }: ReportingPhase, step: TerminationStep): boolean {
  const { signal, sentTime, disposition, delivery, reception } = step;
  if (!answer || disposition !== Disposition.DEFAULT || delivery !== Delivery.DELIVERED || reception !== Reception.UNSPECIFIED)
    return false;
  const diedOf = instance?.runtime.exit?.signal;
  return (
    answer.timeMs >= (sentTime?.getTime() ?? Infinity) &&
    diedOf !== undefined &&
    (diedOf === null || KillSignal[diedOf as keyof typeof KillSignal] !== signal)
  );
}

/** How the processes of an attempt ended after it had answered a graceful stop. */
function processExitOf({ answer, instance, outcome, endMs }: ReportingPhase): ProcessExit | undefined {
  const exit = instance?.runtime.exit;
  if (!answer || outcome.message !== '' || !exit) return undefined;
  const kind = exit.byPlatform ? Kind.KILLED : exit.signal === null ? Kind.EXITED : Kind.DIED_OF;
  return {
    kind,
    exitCode: exit.exitCode ?? 0,
    signal: exit.signal ?? '',
    answerTime: new Date(answer.timeMs),
    durationMs: endMs - answer.ms,
  };
}

function containmentOf({ instance }: ReportingPhase): Containment {
  const process = instance?.runtime.process;
  return process ? Containment[process.containment()] : Containment.UNSPECIFIED;
}
