import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Termination_Outcome as StopOutcome } from '@evenfall/contracts/v1/termination';
import type { InstanceEnd } from './instance-end.ts';

/** How an attempt ended, with what its report contains. */
export type AttemptOutcome = {
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

const ended = (
  outcome: Outcome,
  statusCode: number,
  message: string,
  stopOutcome: StopOutcome,
  more: { exitCode?: number; signal?: string } = {},
): AttemptOutcome => ({
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
export const RETURNED: AttemptOutcome = ended(Outcome.RETURNED, 200, '', StopOutcome.RETURNED);

export function outcomeOfAnswer(answer: Answer): AttemptOutcome {
  return answer.returned ? RETURNED : ended(Outcome.THREW, answer.statusCode, '', StopOutcome.THREW);
}

/** Maps the end of an instance to the end of the attempt it ran (docs/reference/status-codes.md). */
export function outcomeOf(end: InstanceEnd, answer: Answer | undefined, timeoutMs: number): AttemptOutcome {
  switch (end.kind) {
    case 'ANSWERED':
      return outcomeOfAnswer(answer ?? { returned: false, statusCode: 500 });
    case 'EXITED':
      return ended(Outcome.EXITED, 439, USER_EXIT, StopOutcome.EXITED, { exitCode: end.exitCode });
    case 'DIED_OF':
      return ended(Outcome.DIED_OF, 439, USER_EXIT, StopOutcome.DIED_OF, { signal: end.signal });
    case 'FORCE_KILLED':
      return ended(Outcome.FORCE_KILLED, 499, 'Request canceled', StopOutcome.FORCE_KILLED, SIGKILL);
    case 'TIMED_OUT':
      return ended(Outcome.TIMED_OUT, 433, `Invoking task timed out after ${timeoutMs / 1000} seconds`, StopOutcome.FORCE_KILLED, SIGKILL);
    case 'OUT_OF_MEMORY':
      return ended(Outcome.OUT_OF_MEMORY, 434, end.detail ?? 'Memory limit exceeded', StopOutcome.FORCE_KILLED, SIGKILL);
    case 'BROKEN':
      return ended(Outcome.THREW, 430, brokenMessage(end.reason), StopOutcome.FORCE_KILLED, SIGKILL);
    case 'START_FAILED':
      return ended(Outcome.START_FAILED, end.fault.statusCode, end.fault.message, StopOutcome.ENDED_BEFORE_SIGNAL);
    case 'LOST':
      return ended(Outcome.LOST, 500, 'The host lost its lease', StopOutcome.LOST);
    case 'DRAINED':
    case 'RETIRED':
      return ended(Outcome.DRAINED, 500, 'The host was drained', StopOutcome.FORCE_KILLED, SIGKILL);
  }
}

/** The message of an attempt whose runtime broke the protocol. */
export function brokenMessage(reason: string): string {
  return `The runtime of the function cannot be talked to: ${reason}`;
}

/** The error JSON of an attempt that could not write its own (SCF's form). */
export function errorJson(requestId: string, statusCode: number, message: string): Buffer {
  return Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: message, requestId, statusCode }));
}
