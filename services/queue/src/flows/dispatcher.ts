import { Attempt_Outcome as Outcome, type Attempt, type Event } from '@evenfall/contracts/v1/event';
import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { AgentSet, DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { assignmentBytes, isFinal, MESSAGE_BYTES } from '@evenfall/event-model';
import { msOfDuration } from '@evenfall/time';
import type { Entry } from '../domain/book.ts';
import type { QueuePorts } from '../ports.ts';
import { eventOf, type Owner } from './owner.ts';
import type { Ownership } from './ownership.ts';

/** Sends attempts to the scheduler and takes what it reports. */
export type Dispatcher = {
  /** Sends what may go. Cheap when there is nothing. */
  pump(): void;
  /** Takes a batch of reports. */
  take(reports: readonly AttemptReport[]): void;
  /** Told that a record counts: what hangs on it may be told now. */
  recorded(entry: Entry, record: EventRecord): void;
  /** Speaks for a partition from now on: the scheduler tells what it knows of its attempts. */
  claim(partition: number): void;
  /** Told which agents there are; the scheduler is told that it was heard, and the next one whom this one had. */
  knows(agents: AgentSet): void;
  /** Has a new stream; says everything again that may not have arrived. */
  connected(send: (batch: DispatchRequest) => void): void;
  disconnected(): void;
  /** Told that the scheduler has taken a claim in: what was asked to end meanwhile, and is not on its way, ends now. */
  claimed(partition: number, epoch: number): void;
  /** Sends a recovered event's attempt again, or asks what became of it. */
  resume(entry: Entry): void;
  /** Asks for a dispatched attempt back. */
  revoke(entry: Entry): void;
};

/** Whether the log says that an attempt runs with another agent than the one that speaks of it. What the scheduler says itself is of no agent. */
function isWithAnother({ attempts, state }: Event, attempt: number, agentId: string | undefined): boolean {
  const running = state === 1 ? undefined : attempts[attempts.length - 1]; // 1: QUEUED
  return agentId !== undefined && running?.number === attempt && running.agentId !== '' && running.agentId !== agentId;
}

/** Of an acknowledgement, a stop or a claim, about. */
const SMALL_BYTES = 128;

export function createDispatcher(ports: QueuePorts, ownership: Ownership, owner: Owner, isStanding: () => boolean): Dispatcher {
  let send: ((batch: DispatchRequest) => void) | undefined;
  let outgoing: DispatchRequest | undefined;
  let outgoingBytes = 0;
  let agents: AgentSet | undefined;

  /** The batch that takes so many bytes more; what is full goes at once, the rest once a turn. */
  const batch = (bytes = SMALL_BYTES): DispatchRequest => {
    if (outgoing && outgoingBytes > 0 && outgoingBytes + bytes > MESSAGE_BYTES) flush();
    outgoingBytes += bytes;
    if (!outgoing) {
      outgoing = { assignments: [], stops: [], acks: [], claims: [], agents: undefined };
      queueMicrotask(flush);
    }
    return outgoing;
  };
  const flush = (): void => {
    const ready = outgoing;
    outgoing = undefined;
    outgoingBytes = 0;
    if (ready) send?.(ready); // without a stream it is said again when there is one
  };
  const claim = (partition: number): void => {
    const epoch = ownership.live().get(partition);
    if (epoch !== undefined) batch().claims.push({ partition, epoch: BigInt(epoch) });
  };
  const assign = (entry: Entry, runningOn: string): void => {
    const event = eventOf(entry);
    const assignment = {
      eventId: entry.id,
      attempt: entry.dispatched,
      namespace: event.namespace,
      function: event.function,
      version: event.version,
      revision: entry.stored.revision,
      payload: entry.stored.payload,
      runningOnAgentId: runningOn,
      synchronous: false,
      partition: entry.partition,
      perhapsGiven: entry.perhapsGiven,
      functionUid: entry.stored.functionUid,
    };
    batch(assignmentBytes(assignment)).assignments.push(assignment);
  };
  const stop = (entry: Entry): void => {
    const request = entry.stored.terminationRequest;
    if (!request) return;
    const { cause, mode, policy } = request;
    batch().stops.push({ eventId: entry.id, attempt: entry.dispatched, cause, mode, policy, partition: entry.partition });
  };
  const resume = (entry: Entry): void => {
    const event = eventOf(entry);
    const running = event.state === 1 ? undefined : (event.attempts[event.attempts.length - 1] as Attempt); // 1: QUEUED
    if (running) entry.dispatched = running.number;
    if (entry.dispatched === 0) return;
    assign(entry, running?.agentId ?? '');
    stop(entry);
  };

  /** A former owner had dispatched what waits here: it does not wait any more. */
  const found = (entry: Entry, attempt: number): void => {
    const event = eventOf(entry);
    if (entry.dispatched > 0 || event.state !== 1 || attempt !== event.attempts.length + 1) return; // 1: QUEUED
    owner.lanes.unready(entry);
    entry.dispatched = attempt;
  };
  const notDispatched = (entry: Entry): void => {
    entry.dispatched = 0;
    entry.perhapsGiven = false;
  };
  const ended = (entry: Entry, attempt: number, report: Extract<NonNullable<AttemptReport['report']>, { $case: 'ended' }>): void => {
    owner.lanes.left(entry);
    const refusal = owner.command(entry, attempt, { kind: 'ATTEMPT_ENDED', attempt, ended: report.value, random: ports.random() });
    if (refusal)
      batch().acks.push({ eventId: entry.id, attempt }); // of the past: nobody needs it
    else if (attempt === entry.dispatched) notDispatched(entry);
  };
  const back = (entry: Entry, attempt: number, atHead = false): void => {
    if (attempt !== entry.dispatched) return;
    owner.lanes.left(entry);
    notDispatched(entry);
    owner.command(entry, attempt, { kind: 'ATTEMPT_REVOKED', attempt });
    owner.command(entry, 0, { kind: 'EXPIRE' });
    owner.settle(entry, atHead);
  };

  return {
    pump() {
      // A replica that was paused may have lost its partitions, and not have read it yet.
      if (!send || !isStanding()) return;
      for (const entry of owner.lanes.take(ports.clock.monotonic())) {
        const event = eventOf(entry);
        owner.command(entry, 0, { kind: 'EXPIRE' });
        if (isFinal(eventOf(entry).state)) {
          owner.lanes.left(entry);
          continue;
        }
        entry.dispatched = event.attempts.length + 1;
        assign(entry, '');
        stop(entry); // asked for when a former owner had sent it: it comes back revoked, unless it runs after all
      }
    },
    take(reports) {
      for (const { eventId, attempt, report, partition, agentId } of reports) {
        const entry = owner.book.get(eventId);
        // Of a partition that is somebody else's, or not read to its end yet: told again to whoever claims it.
        if (!ownership.isLive(entry?.partition ?? partition ?? -1)) continue;
        if (!entry) {
          if (report?.$case === 'ended') batch().acks.push({ eventId, attempt });
          // A former owner had dispatched it, and nobody knew when the event was ended.
          if (report?.$case === 'started')
            batch().stops.push({ eventId, attempt, cause: Cause.USER, mode: Mode.FORCE, policy: undefined, partition });
          continue;
        }
        if (isWithAnother(eventOf(entry), attempt, agentId)) continue; // the log says with whom, and the next assignment says so to the scheduler
        if (report?.$case === 'started' || report?.$case === 'ended') found(entry, attempt);
        switch (report?.$case) {
          case 'started':
            owner.lanes.left(entry);
            owner.command(entry, attempt, { kind: 'ATTEMPT_STARTED', attempt, started: report.value });
            break;
          case 'ended':
            ended(entry, attempt, report);
            break;
          case 'signalSent':
            owner.command(entry, attempt, { kind: 'SIGNAL_SENT', attempt, sent: report.value });
            break;
          case 'revoked':
            back(entry, attempt);
            break;
          case 'throttled':
            entry.lane.pausedUntilMs = ports.clock.monotonic() + (msOfDuration(report.value.retryAfter) ?? 0);
            back(entry, attempt, true); // the newest first, so that they stand in order again
            break;
          case undefined:
        }
      }
    },
    claimed(partition, epoch) {
      ownership.confirm(partition, epoch);
      if (!ownership.isConfirmed(partition)) return;
      for (const entry of owner.book.values()) {
        if (entry.partition !== partition || entry.dispatched > 0 || !entry.stored.terminationRequest) continue;
        const attempt = eventOf(entry).attempts.length + 1;
        owner.command(entry, attempt, { kind: 'ATTEMPT_REVOKED', attempt });
        if (isFinal(eventOf(entry).state)) owner.lanes.unready(entry);
      }
    },
    recorded(entry, record) {
      const { change } = record;
      if (change?.$case === 'terminationRequested' && entry.dispatched > 0) stop(entry);
      if (change?.$case === 'attemptConcluded') {
        if (change.value.ended?.outcome !== Outcome.UNSPECIFIED) batch().acks.push({ eventId: entry.id, attempt: record.attempt });
        if (!isFinal(change.value.state)) owner.settle(entry); // a retry is promised by the log before it is made
      }
    },
    connected(sender) {
      send = sender;
      outgoing = undefined;
      outgoingBytes = 0;
      batch().agents = agents; // the first batch goes in any case, and says whom the last scheduler told of
      agents = undefined;
      for (const partition of ownership.live().keys()) claim(partition);
      for (const entry of owner.book.values()) {
        if (entry.dispatched === 0) continue;
        entry.perhapsGiven = true;
        resume(entry);
      }
    },
    knows(told) {
      agents = told.isAll ? told : undefined;
      batch().agents = told;
    },
    claim,
    disconnected() {
      send = undefined;
    },
    resume,
    revoke(entry) {
      batch().stops.push({
        eventId: entry.id,
        attempt: entry.dispatched,
        cause: Cause.UNSPECIFIED,
        mode: Mode.UNSPECIFIED,
        policy: undefined,
        partition: entry.partition,
      });
    },
  };
}
