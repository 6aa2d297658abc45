import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Termination_Outcome as StopOutcome } from '@evenfall/contracts/v1/termination';
import type { Ending } from './instance-end.ts';

/** How an attempt ended, in the words of its report. */
export type Verdict = {
  readonly outcome: Outcome;
  readonly statusCode: number;
  /** For the error; empty for an attempt that answered. */
  readonly message: string;
  readonly stopOutcome: StopOutcome;
  readonly exitCode: number;
  readonly signal: string;
};

/** What a function answered. */
export type Answer = { readonly returned: boolean; readonly statusCode: number };

const verdict = (
  outcome: Outcome,
  statusCode: number,
  message: string,
  stopOutcome: StopOutcome,
  more: { exitCode?: number; signal?: string } = {},
): Verdict => ({
  outcome,
  statusCode,
  message,
  stopOutcome,
  exitCode: more.exitCode ?? 0,
  signal: more.signal ?? '',
});

const USER_EXIT = 'User process exit when running';
const SIGKILL = { signal: 'SIGKILL' };

/** An attempt that simply returned; made once, it is the common case. */
export const RETURNED: Verdict = verdict(Outcome.RETURNED, 200, '', StopOutcome.RETURNED);

export function verdictOfAnswer(answer: Answer): Verdict {
  return answer.returned ? RETURNED : verdict(Outcome.THREW, answer.statusCode, '', StopOutcome.THREW);
}

/** Maps the end of an instance to the end of the attempt it ran (semantics §2). */
export function verdictOf(ending: Ending, answer: Answer | undefined, timeoutMs: number): Verdict {
  switch (ending.kind) {
    case 'ANSWERED':
      return verdictOfAnswer(answer ?? { returned: false, statusCode: 500 });
    case 'EXITED':
      return verdict(Outcome.EXITED, 439, USER_EXIT, StopOutcome.EXITED, { exitCode: ending.exitCode });
    case 'DIED_OF':
      return verdict(Outcome.DIED_OF, 439, USER_EXIT, StopOutcome.DIED_OF, { signal: ending.signal });
    case 'FORCE_KILLED':
      return verdict(Outcome.FORCE_KILLED, 499, 'Request canceled', StopOutcome.FORCE_KILLED, SIGKILL);
    case 'TIMED_OUT':
      return verdict(
        Outcome.TIMED_OUT,
        433,
        `Invoking task timed out after ${timeoutMs / 1000} seconds`,
        StopOutcome.FORCE_KILLED,
        SIGKILL,
      );
    case 'OUT_OF_MEMORY':
      return verdict(Outcome.OUT_OF_MEMORY, 434, ending.detail ?? 'Memory limit exceeded', StopOutcome.FORCE_KILLED, SIGKILL);
    case 'BROKEN':
      return verdict(Outcome.THREW, 430, brokenMessage(ending.reason), StopOutcome.FORCE_KILLED, SIGKILL);
    case 'START_FAILED':
      return verdict(Outcome.START_FAILED, ending.fault.statusCode, ending.fault.message, StopOutcome.ENDED_BEFORE_SIGNAL);
    case 'LOST':
      return verdict(Outcome.LOST, 500, 'The host lost its lease', StopOutcome.LOST);
    case 'DRAINED':
    case 'RETIRED':
      return verdict(Outcome.DRAINED, 500, 'The host was drained', StopOutcome.FORCE_KILLED, SIGKILL);
  }
}

/** Says that a runtime cannot be talked to, and why. */
export function brokenMessage(reason: string): string {
  return `The runtime of the function cannot be talked to: ${reason}`;
}

/** The error JSON of an attempt that could not write its own (SCF's form). */
export function errorJson(requestId: string, statusCode: number, message: string): Buffer {
  return Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: message, requestId, statusCode }));
}
