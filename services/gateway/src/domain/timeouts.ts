/** How long the gateway waits for the services behind it, in milliseconds. */
export const TIMEOUTS_MS = {
  /** An accept is a log append: a caller that gets no answer by then sends the event again, with its key. */
  accept: 15_000,
  /** Reads may wait for the view to catch up. */
  read: 15_000,
  /** Dropping waits for those who read what is dropped. */
  purge: 60_000,
  /** A function change, a code package of 50 MB included. */
  change: 60_000,
  /** Notifying the scheduler of a change, upon which it reads the function once. The registry's watch notifies it too. */
  noteChange: 2_000,
  /** Until a signal's delivery is known, or a force stop is over. */
  terminate: 60_000,
  /** `wait=ended` (event_service.proto, WAIT_ENDED). */
  terminateEnded: 15 * 60_000 + 15_000,
} as const;
