import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import type { AttemptResult, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { isFinal, isNextAttempt } from '@evenfall/event-model';
import { msOfDuration } from '@evenfall/time';
import type { Entry } from '../domain/types.ts';
import type { DispatchParts } from './dispatch.ts';
import { eventOf } from './open-events.ts';
import type { PartitionOwner } from './partition-owner.ts';

/** Applies what the scheduler reports of attempts. */
export function applyReports(parts: DispatchParts, reports: readonly AttemptReport[]): void {
  const { partitions } = parts;
  for (const report of reports) {
    const entry = partitions.find(report.eventId, report.partition);
    // Of a partition that another replica owns, or that is not recovered yet: reported again to the one that claims it.
    if (!partitions.isActive(entry?.partition ?? report.partition ?? -1)) continue;
    if (entry) applyReport(parts, partitions.get(entry.partition), entry, report);
    else answerUnknown(parts, report);
  }
}

/** Applies that the scheduler has confirmed a claim: a termination that was requested meanwhile of an event that is not dispatched ends it now. */
export function confirmClaim({ partitions }: DispatchParts, partition: number, epoch: number): void {
  const owner = partitions.all[partition];
  owner?.confirm(epoch);
  if (owner?.mode !== 'CONFIRMED') return;
  const { book, lanes } = owner.events;
  for (const entry of book.values()) {
    if (entry.dispatched > 0 || !entry.stored.terminationRequest) continue;
    const attempt = eventOf(entry).attempts.length + 1;
    owner.command(entry, attempt, { kind: 'ATTEMPT_REVOKED', attempt });
    if (isFinal(eventOf(entry).state)) lanes.unmarkReady(entry);
  }
}

/** Answers a report of an event that is not open: it has ended. */
function answerUnknown({ stream }: DispatchParts, { eventId, attempt, report, partition }: AttemptReport): void {
  if (report?.$case === 'ended') stream.acknowledge(eventId, attempt);
  if (report?.$case === 'started') stream.stopUnknown(eventId, attempt, partition);
}

function applyReport(parts: DispatchParts, owner: PartitionOwner, entry: Entry, { attempt, report, agentId }: AttemptReport): void {
  if (isWithAnother(eventOf(entry), attempt, agentId)) return; // the log says with which, and the next assignment says so to the scheduler
  const { lanes } = owner.events;
  switch (report?.$case) {
    case 'started':
      noteDispatched(owner, entry, attempt);
      lanes.release(entry);
      owner.command(entry, attempt, { kind: 'ATTEMPT_STARTED', attempt, started: report.value });
      break;
    case 'ended':
      noteDispatched(owner, entry, attempt);
      applyEnd(parts, owner, entry, attempt, report.value);
      break;
    case 'signalSent':
      owner.command(entry, attempt, { kind: 'SIGNAL_SENT', attempt, sent: report.value });
      break;
    case 'revoked':
      applyReturn(owner, entry, attempt, false);
      break;
    case 'throttled':
      lanes.pause(entry.lane, parts.queue.clock.monotonic() + (msOfDuration(report.value.retryAfter) ?? 0));
      applyReturn(owner, entry, attempt, true); // reported newest first, so that they are in order again
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
function noteDispatched({ events }: PartitionOwner, entry: Entry, attempt: number): void {
  if (entry.dispatched > 0 || !isNextAttempt(eventOf(entry), attempt)) return;
  events.lanes.unmarkReady(entry);
  entry.dispatched = attempt;
}

function noteNotDispatched(entry: Entry): void {
  entry.dispatched = 0;
  entry.mayBeDispatched = false;
}

function applyEnd({ queue, stream }: DispatchParts, owner: PartitionOwner, entry: Entry, attempt: number, ended: AttemptResult): void {
  owner.events.lanes.release(entry);
  const refusal = owner.command(entry, attempt, { kind: 'ATTEMPT_ENDED', attempt, ended, random: queue.random() });
  if (refusal)
    stream.acknowledge(entry.id, attempt); // of an earlier attempt: the log does not need it
  else if (attempt === entry.dispatched) noteNotDispatched(entry);
}

/** Takes a dispatched attempt back that has not run; at the head of its lane if it was not for its termination. */
function applyReturn(owner: PartitionOwner, entry: Entry, attempt: number, atHead: boolean): void {
  if (attempt !== entry.dispatched) return;
  owner.events.lanes.release(entry);
  noteNotDispatched(entry);
  owner.command(entry, attempt, { kind: 'ATTEMPT_REVOKED', attempt });
  owner.command(entry, 0, { kind: 'EXPIRE' });
  owner.events.settle(entry, atHead);
}
