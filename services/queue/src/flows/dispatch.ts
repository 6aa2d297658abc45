import { Event_State as State } from '@evenfall/contracts/v1/event';
import type { DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isFinal } from '@evenfall/event-model';
import type { LaneWindow } from '../domain/lanes.ts';
import type { Entry } from '../domain/types.ts';
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
  for (const entry of laneWindow.dequeue(queue.clock.monotonic())) {
    const { events, command } = partitions.get(entry.partition);
    command(entry, 0, { kind: 'EXPIRE' });
    const event = eventOf(entry);
    if (isFinal(event.state)) {
      events.lanes.release(entry);
      continue;
    }
    entry.dispatched = event.attempts.length + 1;
    stream.assign(entry, event, '');
    stream.stop(entry); // requested when a previous owner had dispatched it: it comes back revoked, unless it runs after all
  }
}

/** Begins with a new stream: claims what is owned, and sends again what may not have arrived. */
export function connectScheduler({ partitions, stream }: DispatchParts, send: (batch: DispatchRequest) => void): void {
  stream.connect(send);
  for (const owner of partitions.all) claim(owner, stream);
  for (const { events } of partitions.all)
    for (const entry of events.book.values()) {
      if (entry.dispatched === 0) continue;
      entry.mayBeDispatched = true;
      resume(entry, stream);
    }
}

/** Begins with a partition that was activated: claims it, and sends the attempts that were running again, to learn what became of them. */
export function resumePartition({ stream }: DispatchParts, owner: PartitionOwner): void {
  claim(owner, stream);
  for (const entry of owner.events.book.values()) resume(entry, stream);
}

function claim({ isActive, tenure, partition }: PartitionOwner, stream: SchedulerStream): void {
  if (isActive && tenure) stream.claim(partition, tenure.epoch);
}

function resume(entry: Entry, stream: SchedulerStream): void {
  const event = eventOf(entry);
  const running = event.state === State.QUEUED ? undefined : event.attempts[event.attempts.length - 1];
  if (running) entry.dispatched = running.number;
  if (entry.dispatched === 0) return;
  stream.assign(entry, event, running?.agentId ?? '');
  stream.stop(entry);
}
