import type { DeliveryAttempted } from '@evenfall/contracts/log/v1/record';
import { Delivery_State as State } from '@evenfall/contracts/v1/event';
import { systemBackoffMs } from '@evenfall/event-model';

/** How one attempt at a delivery ended. */
export type Outcome =
  /** The event that was made; empty unless the destination is a function. */
  | { readonly kind: 'DELIVERED'; readonly eventId: string }
  /** Not tried before the given time, whatever the back-off says. */
  | { readonly kind: 'RETRY'; readonly error: string; readonly notBeforeMs: number }
  | { readonly kind: 'GIVE_UP'; readonly error: string };

/** What follows from it. */
export type Decision = {
  /** To be recorded; undefined for an attempt of which only its number is new. */
  readonly attempted: DeliveryAttempted | undefined;
  /** When to try again; undefined if it is over. */
  readonly retryMs: number | undefined;
};

/** How long a destination is tried after the end of the event. */
const GIVE_UP_AFTER_MS = 6 * 3_600_000;
const MOST_ERROR = 500;

/**
 * Decides what follows from an attempt. One that is to be retried is recorded when its number is a power of two: what is tried for six hours shows so, and a
 * new owner goes on from there, for a handful of records.
 */
export function decideDelivery(outcome: Outcome, attempts: number, endMs: number, nowMs: number, random: number): Decision {
  const attempted = (state: State, error: string, eventId = ''): DeliveryAttempted => ({
    state,
    attemptCount: attempts,
    error: error.slice(0, MOST_ERROR).toWellFormed(),
    eventId,
  });
  switch (outcome.kind) {
    case 'DELIVERED':
      return { attempted: attempted(State.DELIVERED, '', outcome.eventId), retryMs: undefined };
    case 'GIVE_UP':
      return { attempted: attempted(State.FAILED, outcome.error), retryMs: undefined };
    case 'RETRY': {
      const retryMs = Math.max(nowMs + systemBackoffMs(attempts - 1, random), outcome.notBeforeMs);
      if (retryMs >= endMs + GIVE_UP_AFTER_MS) return { attempted: attempted(State.FAILED, outcome.error), retryMs: undefined };
      const isRecorded = (attempts & (attempts - 1)) === 0;
      return { attempted: isRecorded ? attempted(State.PENDING, outcome.error) : undefined, retryMs };
    }
  }
}
