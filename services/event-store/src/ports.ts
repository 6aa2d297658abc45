import type { LinesOf, Used } from './domain/line-budgets.ts';
import type { Event } from '@evenfall/contracts/v1/event';
import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import type { LogLine } from '@evenfall/contracts/v1/log_service';
import type { DeadLetter, EventCount, ListEventsRequest } from '@evenfall/contracts/v1/event_service';
import type { ListPendingDeliveriesRequest, OpenEvent, StoredLogLine } from '@evenfall/contracts/event_store/v1/event_store_service';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import type { FoldChanges, FoldedPosition } from './domain/fold.ts';
import type { PageKey } from './domain/page-token.ts';
import type { Partition } from './domain/retention.ts';
import type { VersionedEvent } from './domain/watchers.ts';

/** The position up to which a partition was folded, its owner there, and when the log stored the first record of that owner, where the log provides it. */
export type Position = FoldedPosition & { readonly partition: number };

/** Where events are kept. */
export type EventTable = {
  /** How far each partition was folded; a partition never seen counts as 0 and is made. */
  positions(partitions: readonly number[]): Promise<readonly Position[]>;
  /** Writes one fold and moves the offsets, or changes nothing and returns false if another replica has moved one. */
  writeFold(changes: FoldChanges): Promise<boolean>;
  /** Open events by id, without payloads. */
  loadOpen(ids: readonly string[]): Promise<readonly FoldedEvent[]>;
  /** Ended events by id that have a pending delivery, without payloads. */
  loadPendingDeliveries(ids: readonly string[]): Promise<ReadonlyMap<string, FoldedEvent>>;
  /** Which of these ids have ended within the retention. */
  endedIds(ids: readonly string[]): Promise<ReadonlySet<string>>;
  getEvent(id: string): Promise<Event | undefined>;
  /** An event and how often it was changed. */
  getVersioned(id: string): Promise<VersionedEvent | undefined>;
  /** The same of many; those that are not there are left out. */
  getManyVersioned(ids: readonly string[]): Promise<readonly VersionedEvent[]>;
  listEvents(query: ListEventsRequest, after: PageKey | undefined, limit: number): Promise<readonly FoundEvent[]>;
  /** How many events match a query. */
  totalSize(query: ListEventsRequest): Promise<TotalSize>;
  /** Counts by function and state; of every function of the namespace if none is named. */
  countEvents(namespace: string, fn: string): Promise<readonly EventCount[]>;
  /** How far the partitions were folded, by whichever replica. */
  applied(): Promise<ReadonlyMap<number, number>>;
  /** A page that is found by its number, and how many events match, as of one moment. */
  listByOffset(query: ListEventsRequest, page: NumberedPage): Promise<{ readonly events: readonly Event[]; readonly totalCount: number }>;
  countOpen(): Promise<number>;
  /**
   * Every open event of the partitions, every ended one with a pending delivery, and their offsets, as of one moment; open
   * events in the order they were accepted.
   */
  snapshot(partitions: readonly number[]): AsyncIterable<{
    readonly positions: readonly Position[];
    readonly events: readonly OpenEvent[];
    readonly pendingDeliveries: readonly FoldedEvent[];
  }>;
  /** Queued events of one lane in the order they were accepted, payloads included: fewer than the limit when they are large. */
  listQueued(
    lane: LaneName,
    afterOffset: number,
    limit: number,
  ): Promise<{ readonly events: readonly OpenEvent[]; readonly hasMore: boolean }>;
  /** One queued event of a lane. */
  getQueued(lane: LaneName, id: string): Promise<OpenEvent | undefined>;
  /** Ended events of a partition with a pending delivery, payloads included: fewer than the limit when they are large. */
  listPendingDeliveries(
    query: PendingDeliveryQuery,
  ): Promise<{ readonly pendingDeliveries: readonly FoldedEvent[]; readonly hasMore: boolean }>;
};

/** An event of a list, encoded, and the time it is ordered by; null for an end that has not come. */
export type FoundEvent = { readonly id: string; readonly data: Buffer; readonly timeMs: number | null };

export type TotalSize = { readonly size: number; readonly isEstimate: boolean };

/** Pending deliveries of one destination, except those of some events. */
export type PendingDeliveryQuery = Pick<ListPendingDeliveriesRequest, 'partition' | 'destination' | 'limit' | 'exceptEventIds'>;

/** Where a numbered page begins and how long it is; of one event alone, perhaps. */
export type NumberedPage = { readonly offset: number; readonly limit: number; readonly eventId: string | undefined };

/** One async queue. */
export type LaneName = { readonly namespace: string; readonly function: string; readonly trigger: string };

/** Where dead letters are kept. */
export type DeadLetterTable = {
  get(id: string): Promise<DeadLetter | undefined>;
  /** Those of a function, newest first; those that ended before the given one. Fewer than the limit when they are large. */
  list(
    namespace: string,
    fn: string,
    before: { readonly timeMs: number; readonly id: string } | undefined,
    limit: number,
  ): Promise<{ readonly letters: readonly DeadLetter[]; readonly hasMore: boolean }>;
};

/** A record of the log that could not be folded. */
export type PutAsideRow = {
  readonly partition: number;
  readonly offset: number;
  /** As far as the record could be read. */
  readonly eventId: string;
  readonly attempt: number;
  readonly change: string;
  readonly reason: string;
  /** Whether what was left of it was folded, so that its event goes on. */
  readonly isReduced: boolean;
  readonly data: Uint8Array;
};
/** One that is listed: without its bytes. */
export type PutAside = Omit<PutAsideRow, 'data'> & { readonly putTime: Date; readonly putMicros: bigint; readonly dataBytes: number };

/** Where a page of them ended: microseconds since the epoch, which is what the database counts in, and the record's place in the log. */
export type PutAsidePlace = { readonly putMicros: bigint; readonly partition: number; readonly offset: bigint };

/** Where records are kept that could not be folded. */
export type PutAsideTable = {
  /** Idempotent; the second call records the outcome. */
  add(row: PutAsideRow): Promise<void>;
  remove(partition: number, offset: number): Promise<void>;
  /** Newest first; those behind a place. */
  newest(after: PutAsidePlace | undefined, limit: number): Promise<readonly PutAside[]>;
  count(): Promise<number>;
};

/** Where audit records wait for the registry: the fold puts them there. */
export type AuditOutbox = {
  first(limit: number): Promise<readonly AuditRecord[]>;
  remove(ids: readonly string[]): Promise<void>;
  count(): Promise<number>;
};

/** A stored line and its place within its attempt. */
export type SequencedLine = { readonly sequence: number; readonly line: LogLine };

/** Where log lines are kept. */
export type LogTable = {
  /** Stores lines that are not there yet; answers what was stored, by attempt. */
  append(lines: readonly StoredLogLine[]): Promise<readonly (LinesOf & Used)[]>;
  /** What is stored of some attempts; those of which nothing is are left out. */
  used(attempts: readonly LinesOf[]): Promise<readonly (LinesOf & Used)[]>;
  /** Lines of an event in order, those after the given place. */
  list(eventId: string, after: { readonly attempt: number; readonly sequence: number }, limit: number): Promise<readonly SequencedLine[]>;
};

/** Makes and drops the partitions of the tables that have them. */
export type Partitions = {
  /** Makes those that these times need; cheap when they are there. */
  ensure(timesMs: readonly number[]): Promise<void>;
  /** Every one there is, those among them that a crash has left half dropped. */
  list(): Promise<readonly Partition[]>;
  /** How large they are, by name. */
  describe(partitions: readonly Partition[]): Promise<ReadonlyMap<string, { readonly rowEstimate: number; readonly sizeBytes: bigint }>>;
  /** Drops one, from wherever a crash may have left that, without keeping those waiting who read or write the others. */
  drop(partition: Partition): Promise<void>;
  /** Forgets the counts of spans that began before, and the links of redrives made before. */
  forgetBefore(beforeMs: number): Promise<void>;
  /** When the last round with a trusted clock was made. */
  lastRoundMs(): Promise<number | undefined>;
  noteRound(nowMs: number): Promise<void>;
};
