import { isFinal } from '@evenfall/event-model';
import { overdueOf } from '../domain/overdue.ts';
import type { DispatchParts } from './dispatch.ts';
import { eventOf } from './open-events.ts';

/** Ends what is ready and has waited for longer than its age. What was dispatched and has not started is asked back. */
export function expireOverdue({ queue, partitions, stream }: Omit<DispatchParts, 'laneWindow'>): void {
  const nowMs = queue.clock.monotonic();
  for (const owner of partitions.all) {
    if (!owner.isActive) continue;
    const { lanes } = owner.events;
    for (const lane of lanes.all()) {
      const { ready, sent } = overdueOf(lane, nowMs);
      for (const queued of ready) {
        owner.command(queued, 0, { kind: 'EXPIRE' });
        if (isFinal(eventOf(queued).state)) lanes.unmarkReady(queued);
      }
      for (const queued of sent) stream.revoke(queued);
    }
  }
}
