// One partition of the event log, as this replica sees it. Its modes:
//
//   NOT_OWNED    Another replica owns it, or none does. Only lanes of events that are being accepted exist.
//   ANNOUNCING   The log has given this replica the partition. Its OwnerChanged record is being appended.
//   RECOVERING   The record is in the log: from there on all other writers are fenced, and a tenure has begun. The open events are read from the
//                view and put into their lanes, which pause. Nothing is dispatched and no report is applied.
//   UNCONFIRMED  Everything before the tenure is known: events are dispatched, reports applied, records written. The scheduler has not confirmed the
//                claim yet, so that what looks as if it only waits may have been dispatched by a previous owner.
//   CONFIRMED    The scheduler has reported what it knows of the partition.
//
//   NOT_OWNED --announce--> ANNOUNCING --(appended)--> RECOVERING --activate--> UNCONFIRMED --confirm--> CONFIRMED
//   every mode but NOT_OWNED --release--> NOT_OWNED
//
// `domain/partition-mode` has the transitions as a table; another one throws. The mode and the tenure are written here alone. A tenure has a
// writer of its own, which ends with it. Calls go down: from the loops to the owner, from it to its open events, deliveries and writer, and from the
// writer's commits to those; none of them knows the owner.
import { type Command, decide, evolve } from '@evenfall/event-model';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { isRefusal, type Refusal, refuse } from '@evenfall/errors';
import type { Clock } from '@evenfall/time';
import { createLanes, type LaneWindow } from '../domain/lanes.ts';
import type { Destinations } from '../domain/destinations.ts';
import { isActive, nextMode, type PartitionMode } from '../domain/partition-mode.ts';
import { createPendingDeliveries, type PendingDeliveries } from '../domain/pending-deliveries.ts';
import { recordOf } from '../domain/record.ts';
import type { QueuedEvent, PendingDelivery, Tenure } from '../domain/types.ts';
import type { QueuePorts } from '../ports.ts';
import { createCommitHandler } from './apply-committed.ts';
import type { FlushSchedule } from './flush-schedule.ts';
import type { Counters } from './counters.ts';
import { createOpenEvents, eventOf, type OpenEvents } from './open-events.ts';
import type { SchedulerStream } from './scheduler-stream.ts';
import type { Wake } from './wake.ts';
import { createWriter, type Writer } from './writer.ts';

/** What the owners of all partitions share. */
export type SharedParts = {
  readonly queue: QueuePorts;
  readonly stream: SchedulerStream;
  readonly laneWindow: LaneWindow;
  readonly destinations: Destinations;
  readonly deliveryWake: Wake;
  readonly schedule: FlushSchedule;
  readonly counters: Counters;
};

/** Owns a partition while the log says so: holds its open events, decides what becomes of them, and keeps its pending deliveries. */
export type PartitionOwner = {
  readonly partition: number;
  readonly mode: PartitionMode;
  /** Whether decisions may be made: UNCONFIRMED or CONFIRMED. */
  readonly isActive: boolean;
  /** From RECOVERING on. The same object until the partition is released: compare it after a wait. */
  readonly tenure: Tenure | undefined;
  readonly events: OpenEvents;
  readonly deliveries: PendingDeliveries;
  /** The writer of the tenure. */
  readonly writer: Writer | undefined;
  /** Appends the record that begins a tenure; answers the offset after it. Rejects, and the partition is not owned, if the log does not store it. */
  announce(): Promise<number>;
  /** Sets when the log took that record, by its own clock, once it is known. */
  setLogTime(begunLogMs: number | undefined): void;
  /** Lets events be dispatched: all that is open is known. */
  activate(): void;
  /** Notes that the scheduler has confirmed a claim with this epoch. */
  confirm(epoch: number): void;
  /** Drops everything: the partition has another owner. Answers what was open. */
  release(): number;
  /** Decides a command and has its records written; answers the refusal if it was one. */
  command(queued: QueuedEvent, attempt: number, command: Command): Refusal | undefined;
  /** The same for a pending delivery that was tried. */
  concludeDelivery(delivery: PendingDelivery, concluded: Extract<Command, { kind: 'DELIVERY_ATTEMPTED' }>['attempted']): void;
};

export function createPartitionOwner(shared: SharedParts, partition: number): PartitionOwner {
  const { queue, laneWindow, destinations } = shared;
  const { clock } = queue;
  const events = createOpenEvents(clock, createLanes(laneWindow, partition), partition);
  const deliveries = createPendingDeliveries(destinations, partition);
  const onCommitted = createCommitHandler({ ...shared, events, deliveries });
  let mode: PartitionMode = 'NOT_OWNED';
  let tenure: (Tenure & { begunLogMs?: number | undefined }) | undefined;
  let writer: Writer | undefined;
  let tenureCount = 0;
  /** The record that was appended last to begin a tenure, until the partition is released. */
  let announcing: object | undefined;

  const enter = (next: PartitionMode): void => {
    mode = nextMode(mode, next, partition);
  };
  const announce = async (): Promise<number> => {
    enter('ANNOUNCING');
    const writerId = `${queue.replicaId}-${partition}-${++tenureCount}`;
    const record = recordOf('', 0, { $case: 'ownerChanged', value: {} }, clock.now(), writerId);
    announcing = record;
    const endOffset = await queue.eventLog.append(partition, [record]).catch((error: unknown) => {
      if (announcing === record) enter('NOT_OWNED');
      throw error;
    });
    if (announcing !== record) return endOffset; // lost meanwhile
    enter('RECOVERING');
    tenure = { writerId, epoch: endOffset - 1, begunMs: clock.monotonic() };
    writer = createWriter({ ...shared, partition, onCommitted });
    return endOffset;
  };

  return {
    partition,
    get mode() {
      return mode;
    },
    get isActive() {
      return isActive(mode);
    },
    get tenure() {
      return tenure;
    },
    get writer() {
      return writer;
    },
    events,
    deliveries,
    announce,
    setLogTime(begunLogMs) {
      if (tenure) tenure.begunLogMs = begunLogMs;
    },
    activate() {
      enter('UNCONFIRMED');
      events.lanes.resumeAll();
    },
    confirm(epoch) {
      if (mode === 'UNCONFIRMED' && tenure?.epoch === epoch) enter('CONFIRMED');
    },
    release() {
      if (mode === 'NOT_OWNED') return 0;
      enter('NOT_OWNED');
      announcing = undefined;
      writer?.close();
      writer = undefined;
      tenure = undefined;
      deliveries.clear();
      return events.clear();
    },
    command(queued, attempt, command) {
      if (!tenure || !writer) return refuse('EVENT_NOT_HELD', { event_id: queued.id });
      const refusal = carryOut(clock, tenure, writer, queued, attempt, command, events.agedMs(queued));
      if (eventOf(queued).state !== State.QUEUED) events.lanes.uncountWaiting(queued);
      return refusal;
    },
    concludeDelivery(delivery, concluded) {
      if (tenure && writer) carryOut(clock, tenure, writer, delivery, 0, { kind: 'DELIVERY_ATTEMPTED', attempted: concluded });
    },
  };
}

/** Decides, applies the decision at once, and has it written. Hot: every attempt of every event passes here. */
function carryOut(
  clock: Clock,
  tenure: Tenure,
  writer: Writer,
  subject: QueuedEvent | PendingDelivery,
  attempt: number,
  command: Command,
  agedMs?: number,
): Refusal | undefined {
  const nowMs = clock.now();
  const changes = decide(subject.folded, command, nowMs, agedMs);
  if (isRefusal(changes)) return changes;
  for (const change of changes) {
    const record = recordOf(subject.id, attempt, change, nowMs, tenure.writerId);
    subject.folded = evolve(subject.folded, record) ?? subject.folded;
    if (change.$case === 'attemptEnded' && change.value.retryTime && 'dueMs' in subject)
      subject.dueMs = clock.monotonic() + change.value.retryTime.getTime() - nowMs;
    writer.add(subject, record);
  }
  return undefined;
}
