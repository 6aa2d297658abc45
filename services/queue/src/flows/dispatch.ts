import { Event_State as State } from '@evenfall/contracts/v1/event';
import type { DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isFinal } from '@evenfall/event-model';
import type { LaneWindow } from '../domain/lanes.ts';
import type { QueuedEvent } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';
import { eventOf } from './open-events.ts';
import type { PartitionOwner } from './partition-owner.ts';
import type { Partitions } from './partitions.ts';
import type { SchedulerStream } from './scheduler-stream.ts';

export type DispatchParts = {
  readonly queue: QueuePorts;
  readonly partitions: Partitions;
  readonly stream: SchedulerStream;
  readonly laneWindow: LaneWindow;
};

/**
 * Sends what may go, of all partitions in turn. Cheap when there is nothing. `isOwner` is what the log's subscription says: a replica that was
 * paused may have lost its partitions, and not have read that yet.
 */
export function dispatchReady({ queue, partitions, stream, laneWindow }: DispatchParts, isOwner: boolean): void {
  if (!stream.isConnected || !isOwner) return;
  for (const queued of laneWindow.dequeue(queue.clock.monotonic())) {
    const { events, command } = partitions.get(queued.partition);
    command(queued, 0, { kind: 'EXPIRE' });
    const event = eventOf(queued);
    if (isFinal(event.state)) {
      events.lanes.release(queued);
      continue;
    }
    queued.dispatched = event.attempts.length + 1;
    stream.assign(queued, event, '');
    stream.stop(queued); // requested when a previous owner had dispatched it: it comes back revoked, unless it runs after all
  }
}

/** Begins with a new stream: claims what is owned, and sends again what may not have arrived. */
export function connectScheduler({ partitions, stream }: DispatchParts, send: (batch: DispatchRequest) => void): void {
  stream.connect(send);
  for (const owner of partitions.all) claim(owner, stream);
  for (const { events } of partitions.all)
    for (const queued of events.book.values()) {
      if (queued.dispatched === 0) continue;
      queued.mayBeDispatched = true;
      resume(queued, stream);
    }
}

/** Begins with a partition that was activated: claims it, and sends the attempts that were running again, to learn what became of them. */
export function resumePartition({ stream }: DispatchParts, owner: PartitionOwner): void {
  claim(owner, stream);
  for (const queued of owner.events.book.values()) resume(queued, stream);
}

function claim({ isActive, tenure, partition }: PartitionOwner, stream: SchedulerStream): void {
  if (isActive && tenure) stream.claim(partition, tenure.epoch);
}

function resume(queued: QueuedEvent, stream: SchedulerStream): void {
  const event = eventOf(queued);
  const running = event.state === State.QUEUED ? undefined : event.attempts[event.attempts.length - 1];
  if (running) queued.dispatched = running.number;
  if (queued.dispatched === 0) return;
  stream.assign(queued, event, running?.agentId ?? '');
  stream.stop(queued);
}
