import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { isFinal, pendingDestination } from '@evenfall/event-model';
import type { PendingDeliveries } from '../domain/pending-deliveries.ts';
import type { QueuedEvent } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';
import type { Counters } from './counters.ts';
import type { OpenEvents } from './open-events.ts';
import type { SchedulerStream } from './scheduler-stream.ts';
import type { Wake } from './wake.ts';
import type { OnCommitted } from './writer.ts';

export type CommittedParts = {
  readonly queue: QueuePorts;
  readonly events: OpenEvents;
  readonly deliveries: PendingDeliveries;
  readonly stream: SchedulerStream;
  readonly deliveryWake: Wake;
  readonly counters: Counters;
};

type Change = NonNullable<EventRecord['change']>;

/** Does what had to wait until a record was committed and not fenced: acknowledgements, stops, retries, deliveries and answers. */
export function createCommitHandler(parts: CommittedParts): OnCommitted {
  return (subject, { change, attempt }) => {
    if (!change) return;
    if (!('destination' in subject)) applyToEvent(parts, subject, change, attempt);
    else if (change.$case === 'deliveryAttempted' && !pendingDestination(subject.folded)) parts.deliveries.remove(subject);
  };
}

function applyToEvent(parts: CommittedParts, queued: QueuedEvent, change: Change, attempt: number): void {
  const { events, stream } = parts;
  if (change.$case === 'terminationRequested' && queued.dispatched > 0) stream.stop(queued);
  if (change.$case === 'attemptEnded') {
    if (change.value.attemptResult?.outcome !== Outcome.UNSPECIFIED) stream.acknowledge(queued.id, attempt);
    if (!isFinal(change.value.state)) events.settle(queued); // the retry is in the log before it is dispatched
  }
  const hasEnded = change.$case === 'endedUnstarted' || (change.$case === 'attemptEnded' && isFinal(change.value.state));
  if (hasEnded) end(parts, queued);
  if (queued.waiters) answer(queued, queued.waiters, change, hasEnded);
}

function end({ queue, events, deliveries, deliveryWake, counters }: CommittedParts, queued: QueuedEvent): void {
  counters.ended_total++;
  const { folded } = queued;
  if (folded.event?.deliveries.length && deliveries.add(folded, queue.clock.monotonic())) deliveryWake.request();
  events.forget(queued);
}

/** Answers calls that wait. One that asks again after the signal waits only for its own request to be in the log. */
function answer(queued: QueuedEvent, waiters: NonNullable<QueuedEvent['waiters']>, change: Change, hasEnded: boolean): void {
  const steps = queued.folded.event?.termination?.steps.length ?? 0;
  const isDelivered = change.$case === 'signalSent' || (change.$case === 'terminationRequested' && steps > 0);
  for (const waiter of waiters) if (hasEnded || (waiter.until === 'DELIVERED' && isDelivered)) waiter.resolve();
}
