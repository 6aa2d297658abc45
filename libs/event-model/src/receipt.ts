import type { AttemptResult, SignalSent, StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import {
  Containment,
  Termination_Cause as Cause,
  Termination_Outcome as StopOutcome,
  type Termination,
} from '@evenfall/contracts/v1/termination';

/** Whether no caller requested a stop: its receipt is then on the attempt, not on the event. */
export function isUnasked(cause: Cause): boolean {
  return cause !== Cause.UNSPECIFIED && cause !== Cause.USER && cause !== Cause.UNRECOGNIZED;
}

type Opening = Pick<Termination, 'cause' | 'mode' | 'requestTime'> & { readonly requester?: string; readonly reason?: string };

/** A receipt with nothing but the request. */
export function newReceipt({ cause, mode, requester = '', reason = '', requestTime }: Opening): Termination {
  return {
    cause,
    mode,
    requester,
    reason,
    requestTime,
    policy: undefined,
    steps: [],
    outcome: StopOutcome.UNSPECIFIED,
    endTime: undefined,
    sweptProcessCount: 0,
    exitCode: 0,
    signal: '',
    durationMs: 0,
    containment: Containment.UNSPECIFIED,
    extensions: [],
    changes: [],
    exit: undefined,
  };
}

/** The receipt of a stop that no caller requested. */
export function openReceipt(
  { cause, mode, requestTime }: Pick<StopReceipt, 'cause' | 'mode' | 'requestTime'>,
  time: Date | undefined,
): Termination {
  return newReceipt({ cause, mode, requestTime: requestTime ?? time });
}

/** A receipt with one more signal on it. */
export function withSignal(receipt: Termination, { policy, step }: SignalSent): Termination {
  return { ...receipt, policy: policy ?? receipt.policy, steps: step ? [...receipt.steps, step] : receipt.steps };
}

/** A receipt with the agent's part filled in. */
export function withReceipt(receipt: Termination, { stop, endTime }: AttemptResult): Termination {
  if (!stop) return receipt;
  return {
    ...receipt,
    policy: stop.policy ?? receipt.policy,
    steps: stop.steps.length > 0 ? stop.steps : receipt.steps,
    outcome: stop.outcome,
    endTime,
    sweptProcessCount: stop.sweptProcessCount,
    exitCode: stop.exitCode,
    signal: stop.signal,
    durationMs: stop.durationMs,
    containment: stop.containment,
    extensions: stop.extensions,
    changes: stop.changes,
    exit: stop.exit,
  };
}
