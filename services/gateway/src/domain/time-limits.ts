/** How long the gateway waits for those behind it, in milliseconds. */
export const LIMITS_MS = {
  /** An accept is a log append: what has not come by then has to be asked again, with its key. */
  accept: 15_000,
  /** Reads may wait for the view to catch up. */
  read: 15_000,
  /** Dropping waits for those who read what is dropped. */
  purge: 60_000,
  /** A function change, a code package of 50 MB included. */
  change: 60_000,
  /** Telling the scheduler of a change: it asks the registry once. The registry's watch tells it too. */
  noteChange: 2_000,
  /** Until a signal's delivery is known, or a force stop is over. */
  terminate: 60_000,
  /** `wait=ended` (event_service.proto, WAIT_ENDED). */
  terminateEnded: 15 * 60_000 + 15_000,
  /** How long a synchronous call waits for an instance, unless it says. */
  invokeQueue: 10_000,
  /** How long its function may take: the agent ends it then, whatever the function's timeout. */
  invoke: 900_000,
  /** What a synchronous call takes beside its parts. */
  invokeSlack: 15_000,
} as const;

/** How long a synchronous call of a function may take from asking to answer, with every wait in it at its longest. */
export function callTimeoutMs(queueMs: number, initTimeoutMs = 65_000, timeoutMs = 3_000): number {
  return queueMs + initTimeoutMs + Math.min(timeoutMs, LIMITS_MS.invoke) + LIMITS_MS.invokeSlack;
}
