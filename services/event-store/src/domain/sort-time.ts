import type { Event } from '@evenfall/contracts/v1/event';

/**
 * What an event is ordered by when it is ordered by its start, in milliseconds since the epoch: the start of the first attempt, creation while
 * there is none. Never after its end: starts are told by the clocks of agents, and a list that is searched by end relies on it.
 */
export function sortTimeOf(event: Event): number {
  const startMs = (event.startTime ?? event.createTime)?.getTime() ?? 0;
  return event.endTime ? Math.min(startMs, event.endTime.getTime()) : startMs;
}
