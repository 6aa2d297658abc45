import { createRequire } from 'node:module';

/** The part of kafkajs' request queue that is repaired. */
type RequestQueue = { readonly pending: readonly unknown[] };
type RequestQueueClass = { prototype: { scheduleCheckPendingRequests(this: RequestQueue): void } };

let isRepaired = false;

/**
 * Repairs kafkajs 2.2.4, whose last release is of 2023, in place. Once for all clients; twice is once.
 *
 * After the first answer on a connection its request queue sets a timer of 1 ms, and again each time it has fired, to look at requests that
 * wait for a throttled broker; mostly none waits. Three idle connections cost 860 wake-ups a second and 1.7 % of a core (kafkajs #1556),
 * and on Node 24 a TimeoutNegativeWarning, for the delay is computed from a time of -1 (kafkajs #1751). With this the timer is set only
 * while a request waits; whatever adds one asks for it again.
 */
export function repairKafkajs(): void {
  if (isRepaired) return;
  isRepaired = true;
  // The module exports this class; it has no types of its own.
  const queue = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as RequestQueueClass;
  const { prototype } = queue;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) schedule.call(this);
  };
}
