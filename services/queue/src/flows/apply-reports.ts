import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import type { AttemptResult, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { isFinal, isNextAttempt } from '@evenfall/event-model';
import { msOfDuration } from '@evenfall/time';
import type { QueuedEvent } from '../domain/types.ts';
import type { DispatchParts } from './dispatch.ts';
import { eventOf } from './open-events.ts';
import type { PartitionOwner } from './partition-owner.ts';

/** Applies what the scheduler reports of attempts. */
export function applyReports(parts: DispatchParts, reports: readonly AttemptReport[]): void {
  const { partitions } = parts;
  for (const report of reports) {
    const queued = partitions.find(report.eventId, report.partition);
    // Of a partition that another replica owns, or that is not recovered yet: reported again to the one that claims it.
    if (!partitions.isActive(queued?.partition ?? report.partition ?? -1)) continue;
    if (queued) applyReport(parts, partitions.get(queued.partition), queued, report);
    else answerUnknown(parts, report);
  }
}

/** Applies that the scheduler has confirmed a claim: a termination that was requested meanwhile of an event that is not dispatched ends it now. */
export function confirmClaim({ partitions }: DispatchParts, partition: number, epoch: number): void {
  const owner = partitions.all[partition];
  owner?.confirm(epoch);
  if (owner?.mode !== 'CONFIRMED') return;
  const { book, lanes } = owner.events;
  for (const queued of book.values()) {
    if (queued.dispatched > 0 || !queued.folded.terminationRequest) continue;
    const attempt = eventOf(queued).attempts.length + 1;
    owner.command(queued, attempt, { kind: 'ATTEMPT_REVOKED', attempt });
    if (isFinal(eventOf(queued).state)) lanes.unmarkReady(queued);
  }
}

/** Answers a report of an event that is not open: it has ended. */
function answerUnknown({ stream }: DispatchParts, { eventId, attempt, report, partition }: AttemptReport): void {
  if (report?.$case === 'ended') stream.acknowledge(eventId, attempt);
  if (report?.$case === 'started') stream.stopUnknown(eventId, attempt, partition);
}

function applyReport(parts: DispatchParts, owner: PartitionOwner, queued: QueuedEvent, { attempt, report, agentId }: AttemptReport): void {
  if (isWithAnother(eventOf(queued), attempt, agentId)) return; // the log says with which, and the next assignment says so to the scheduler
  const { lanes } = owner.events;
  switch (report?.$case) {
    case 'started':
      noteDispatched(owner, queued, attempt);
      lanes.release(queued);
      owner.command(queued, attempt, { kind: 'ATTEMPT_STARTED', attempt, started: report.value });
      break;
    case 'ended':
      noteDispatched(owner, queued, attempt);
      applyEnd(parts, owner, queued, attempt, report.value);
      break;
    case 'signalSent':
      owner.command(queued, attempt, { kind: 'SIGNAL_SENT', attempt, sent: report.value });
      break;
    case 'revoked':
      applyReturn(owner, queued, attempt, false);
      break;
    case 'throttled':
      lanes.pause(queued.lane, parts.queue.clock.monotonic() + (msOfDuration(report.value.retryAfter) ?? 0));
      applyReturn(owner, queued, attempt, true); // reported newest first, so that they are in order again
      break;
    case undefined:
  }
}

/** Whether the log says that an attempt runs with another agent than the one that reports it. What the scheduler reports itself has no agent. */
function isWithAnother({ attempts, state }: Event, attempt: number, agentId: string | undefined): boolean {
  const running = state === State.QUEUED ? undefined : attempts[attempts.length - 1];
  return agentId !== undefined && running?.number === attempt && running.agentId !== '' && running.agentId !== agentId;
}

/** Notes that a previous owner had dispatched what waits here: it does not wait any more. */
function noteDispatched({ events }: PartitionOwner, queued: QueuedEvent, attempt: number): void {
  if (queued.dispatched > 0 || !isNextAttempt(eventOf(queued), attempt)) return;
  events.lanes.unmarkReady(queued);
  queued.dispatched = attempt;
}

function noteNotDispatched(queued: QueuedEvent): void {
  queued.dispatched = 0;
  queued.mayBeDispatched = false;
}

function applyEnd(
  { queue, stream }: DispatchParts,
  owner: PartitionOwner,
  queued: QueuedEvent,
  attempt: number,
  ended: AttemptResult,
): void {
  owner.events.lanes.release(queued);
  const refusal = owner.command(queued, attempt, { kind: 'ATTEMPT_ENDED', attempt, ended, random: queue.random() });
  if (refusal)
    stream.acknowledge(queued.id, attempt); // of an earlier attempt: the log does not need it
  else if (attempt === queued.dispatched) noteNotDispatched(queued);
}

/** Takes a dispatched attempt back that has not run; at the head of its lane if it was not for its termination. */
function applyReturn(owner: PartitionOwner, queued: QueuedEvent, attempt: number, atHead: boolean): void {
  if (attempt !== queued.dispatched) return;
  owner.events.lanes.release(queued);
  noteNotDispatched(queued);
  owner.command(queued, attempt, { kind: 'ATTEMPT_REVOKED', attempt });
  owner.command(queued, 0, { kind: 'EXPIRE' });
  owner.events.settle(queued, atHead);
}
