import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import type { pendingDestination } from '@evenfall/event-model';
import type { Turn } from './fair-window.ts';
import type { ReadyQueue } from './ready-queue.ts';

/** What identifies a lane. */
export type LaneName = { readonly namespace: string; readonly function: string; readonly trigger: string };

/** One async queue: the waiting events of one function and trigger, first in first out. Written by `lanes` and `parking`; its turn by the fair window. */
export type Lane = Turn & {
  readonly key: string;
  readonly name: LaneName;
  readonly partition: number;
  /** Ready to be dispatched, in order. */
  readonly ready: ReadyQueue<QueuedEvent>;
  /** Dispatched and not yet started. */
  readonly sent: Set<QueuedEvent>;
  /** Accepted and not started, in memory or parked: what the lane limit counts. */
  waiting: number;
  /** Being appended to the log now. */
  accepting: number;
  /** What `waiting` and `accepting` count, by the access key it was sent with; without what was sent with none. */
  readonly byKey: Map<string, number>;
  /** Open events that belong to it, running ones included: while there are any the lane is not dropped. */
  members: number;
  readonly parked: Parked;
  /** Entries in `ready` that are ready, and the bytes of their payloads. */
  readyCount: number;
  readyBytes: number;
};

/**
 * The events of a lane that are in the view and not in memory. All of them were accepted after everything of the lane that is in memory. `parking` writes
 * the counts, times and offsets of what it parks; `fetch-parked` the progress of its fetches.
 */
export type Parked = {
  /** Written by `parking`. */
  count: number;
  /** Offset of the newest Accepted record among them. Written by `parking`. */
  lastOffset: number;
  /** Offset of the Accepted record after which to fetch. Set by `parking` with the first that is parked, moved on by `fetch-parked`. */
  afterOffset: number;
  /** When the first of them exceeds its age, monotonic; Infinity if none does before it is fetched. Lowered by `parking`, set anew by `fetch-parked`. */
  expiresMs: number;
  /** Whether some are being fetched. Written by `fetch-parked`. */
  isFetching: boolean;
  /** Ids fetched out of turn, until their turn has passed: a view that is read late may still show them as waiting. Written by `fetch-parked`. */
  readonly fetchedEarly: Set<string>;
  /** How many of them were sent with which access key. Written by `parking`. */
  readonly byKey: Map<string, number>;
  /** When some of them were accepted, monotonic, in order, a second or more apart; the others lie between. Written by `parking`. */
  readonly marks: { readonly offset: number; readonly acceptedMs: number }[];
};

/** What the owner of a partition holds of an open event. */
export type QueuedEvent = {
  readonly id: string;
  readonly partition: number;
  readonly lane: Lane;
  /** When it was accepted, monotonic. */
  readonly acceptedMs: number;
  /** Written by `partition-owner`, which carries out commands. */
  folded: FoldedEvent;
  /** Before when it is not dispatched, monotonic. Written by `partition-owner`. */
  dueMs: number;
  /** Whether it is in its lane's ready queue. Written by `ready-queue` and `lanes`. */
  ready: boolean;
  /** Bytes it counts for there. Written by `lanes`. */
  readyBytes: number;
  /** Whether it counts as waiting in its lane. Written by `lanes`. */
  counted: boolean;
  /** Number of the attempt that was dispatched and whose end is not known; 0 for none. Written by `dispatch` and `apply-reports`. */
  dispatched: number;
  /** Whether a previous owner, or this one on a previous stream, may have dispatched its next attempt. Written by `dispatch` and `apply-reports`. */
  mayBeDispatched: boolean;
  /** Calls that wait for its termination. Written by `terminate-event`. */
  waiters: Waiter[] | undefined;
};

/** A terminate call that waits. */
export type Waiter = {
  readonly until: 'DELIVERED' | 'ENDED';
  readonly resolve: () => void;
  /** The partition has another owner now: this replica will not know. */
  readonly abandon: () => void;
};

/** The open events of one partition, by id. */
export type Book = Map<string, QueuedEvent>;

/** When an event was accepted, and before when it is not dispatched, both by the monotonic clock of its owner. */
export type WaitTimes = { readonly acceptedMs: number; readonly dueMs: number };

/** The beginning of a tenure by two clocks: the monotonic one of the owner, and the log's own, unset where the log does not say. */
export type Begun = { readonly begunMs: number; readonly begunLogMs?: number | undefined };

/** An ownership of a partition, from its record in the log to the next owner's. */
export type Tenure = Begun & {
  /** What its records carry: of this tenure alone, not of an earlier one of the same replica. */
  readonly writerId: string;
  /** Offset of its record; rises from tenure to tenure, across replicas. */
  readonly epoch: number;
};

/** Where the end of an event is delivered. */
export type Target = NonNullable<ReturnType<typeof pendingDestination>>;
export type TargetKind = Target['$case'];
export const TARGET_KINDS: readonly TargetKind[] = ['function', 'topic', 'webhook'];

/** An ended event whose destination still has to receive it. */
export type PendingDelivery = {
  readonly id: string;
  readonly partition: number;
  readonly destination: Destination;
  readonly target: Target;
  readonly bytes: number;
  readonly endMs: number;
  /** Since when it is pending, monotonic; undefined before the first attempt if it ended before this tenure, or was parked. Written by `deliver`. */
  sinceMs: number | undefined;
  /** Written by `partition-owner`. */
  folded: FoldedEvent;
  /** Attempts that were begun. Written by `deliver`. */
  attempts: number;
  /** False once it is delivered, given up, or another replica's. Written by `destinations`. */
  isHeld: boolean;
};

/** One destination, and what is pending for it in all owned partitions. Written by `destinations` and `pending-deliveries`; its turn by the fair window. */
export type Destination = Turn & {
  readonly key: string;
  readonly kind: TargetKind;
  /** May be tried now, in order. */
  ready: PendingDelivery[];
  readonly held: Set<PendingDelivery>;
  bytes: number;
  /** Attempts that failed since the last success: the more, the fewer are tried at once. */
  failuresInRow: number;
  /** How many are in the view and not in memory, by partition; an entry stays here until the view has said that there are no more. */
  readonly parked: Map<number, number>;
  /** Partitions of which some are being fetched, and whether more were parked meanwhile. */
  readonly fetching: Map<number, { isGrowing: boolean }>;
};

/** What a record is about: an open event, or an ended one with a pending delivery. */
export type Subject = QueuedEvent | PendingDelivery;

/** A record on its way to the log. */
export type Outgoing = { readonly subject: Subject; readonly record: EventRecord };

/** Records that are in the log, in order, and the offset after the last. */
export type Appended = { readonly end: number; readonly written: readonly Outgoing[] };

/** An append that fails, since when by the monotonic clock, and why. */
export type FailingAppend = { readonly partition: number; readonly sinceMs: number; readonly error: string };
