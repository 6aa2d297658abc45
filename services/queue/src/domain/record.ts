import type { EventRecord } from '@evenfall/contracts/log/v1/record';

/** Puts a change into the form the log holds. */
export function recordOf(
  eventId: string,
  attempt: number,
  change: NonNullable<EventRecord['change']>,
  nowMs: number,
  writerId: string,
): EventRecord {
  return { eventId, attempt, time: new Date(nowMs), writerId, change };
}
