import type { Event } from '@evenfall/contracts/v1/event';

/**
 * What an event is ordered by unless it is ordered by its end, in milliseconds since the epoch: its creation, which does not change while a reader walks
 * through the pages. Never after its end, which a clock that was set back between can make earlier: a list that is searched by end relies on it.
 */
export function sortTimeOf(event: Event): number {
  return notAfterEnd(event, event.createTime);
}

/** The time that filters by start use: the start of the first attempt, creation while there is none. Starts are by the clocks of agents. */
export function startTimeOf(event: Event): number {
  return notAfterEnd(event, event.startTime ?? event.createTime);
}

function notAfterEnd({ endTime }: Event, time: Date | undefined): number {
  const timeMs = time?.getTime() ?? 0;
  return endTime ? Math.min(timeMs, endTime.getTime()) : timeMs;
}
