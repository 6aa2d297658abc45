import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';

/** SCF's statuses of an event. It has none for a queued event: that is running too. */
export const STATUSES = ['RUNNING', 'FINISHED', 'ABORTED', 'FAILED'] as const;
export type Status = (typeof STATUSES)[number];

const STATES_OF: Readonly<Record<Status, readonly State[]>> = {
  RUNNING: [State.QUEUED, State.RUNNING, State.TERMINATING],
  FINISHED: [State.SUCCEEDED],
  FAILED: [State.FAILED, State.EXPIRED],
  ABORTED: [State.TERMINATED],
};
/** No instance could take it before it was too old. */
const NO_RESOURCES = 449;

/** The states that have a status. */
export function statesOf(statuses: readonly Status[]): State[] {
  return statuses.flatMap((status) => STATES_OF[status]);
}

export function statusOfEvent({ state }: Event): Status {
  return STATUSES.find((status) => STATES_OF[status].includes(state)) ?? 'RUNNING';
}

/** How its last attempt ended; 0 while it runs, as in the API's example. */
export function statusCodeOf(event: Event): number {
  if (statusOfEvent(event) === 'RUNNING') return 0;
  return event.state === State.EXPIRED && event.statusCode === 0 ? NO_RESOURCES : event.statusCode;
}

/** When it started; before that, when it was accepted. */
export function startOf(event: Event): Date | undefined {
  return event.startTime ?? event.createTime;
}
