import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';

/** Whether a number is that of the attempt an open event waits for: the fencing token of what starts it. */
export function isNextAttempt({ state, attempts }: Event, attempt: number): boolean {
  return state === State.QUEUED && attempt === attempts.length + 1;
}

/** Whether a number is that of the attempt that runs. */
export function isRunningAttempt({ state, attempts }: Event, attempt: number): boolean {
  return (state === State.RUNNING || state === State.TERMINATING) && attempt === attempts.length;
}
