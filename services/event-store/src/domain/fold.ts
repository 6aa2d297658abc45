import { appendTimeMsOf, type LogBatch, logTimeMsOf } from '@evenfall/event-log';
import {
  evolve,
  isByOwner,
  isFinal,
  mayBeRepeated,
  NO_OWNER,
  pendingDestination,
  ownerAfter,
  type PartitionOwner,
} from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import type { AuditRecord } from '@evenfall/contracts/v1/audit_service';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { auditedOf } from './audited.ts';

/** What the view knows of an open event. */
export type OpenEventRow = {
  readonly folded: FoldedEvent;
  readonly partition: number;
  /** Offset of its Accepted record; 0 where the row has it already. */
  readonly acceptOffset: number;
  /** Whether it has a row: one that came and went within a fold never has. */
  readonly persisted: boolean;
  /** Whether it has ended before this fold and has a pending delivery: its row is in `delivery`. */
  readonly hasPendingDelivery?: boolean;
};

/** The position up to which a partition was folded, its owner there, and when the log stored the first record of that owner, where the log provides it. */
export type FoldedPosition = { readonly endOffset: number; readonly owner: PartitionOwner; readonly ownerLogMs?: number | undefined };

/** What one fold does to the tables, all or nothing. */
export type FoldChanges = {
  readonly moves: readonly {
    readonly partition: number;
    readonly from: number;
    readonly to: number;
    readonly owner: PartitionOwner;
    readonly ownerLogMs?: number | undefined;
  }[];
  /** New or changed open events. */
  readonly open: readonly OpenEventRow[];
  readonly ended: readonly Event[];
  /** Ended events whose open row is to be deleted. */
  readonly closed: readonly string[];
  /** Events that failed for good or waited too long; without a payload where the open row has it. */
  readonly dead: readonly { readonly event: Event; readonly payload: Buffer }[];
  /** Ids of dead letters that were purged or redriven. */
  readonly purged: readonly string[];
  /** Which event was made of whose dead letter, and when. */
  readonly redriven: readonly { readonly from: string; readonly to: string; readonly timeMs: number }[];
  /** Ended events with a pending delivery: new ones, without a payload where the open row has it, and changed ones. */
  readonly pendingDeliveries: readonly { readonly folded: FoldedEvent; readonly partition: number }[];
  /** Ids of ended events whose delivery is final. */
  readonly settled: readonly string[];
  /** Events that had ended before, and show now what became of their delivery. */
  readonly amended: readonly Event[];
  /** What the audit log is to keep of terminations. */
  readonly audits: readonly AuditRecord[];
  /** Every event that changed, by id, in its state after the fold. */
  readonly touched: ReadonlyMap<string, FoldedEvent>;
};

/**
 * Ids whose open row must be known before these batches can be folded. `keyed` ones may also have ended already;
 * `pendingDeliveries` have ended, and their row in `delivery` is needed.
 */
export function idsToLoad(
  batches: readonly LogBatch[],
  known: (id: string) => boolean,
): { readonly ids: readonly string[]; readonly keyed: readonly string[]; readonly pendingDeliveries: readonly string[] } {
  const ids = new Set<string>();
  const keyed = new Set<string>();
  const accepted = new Set<string>();
  const pendingDeliveries = new Set<string>();
  for (const batch of batches) {
    for (const [i, record] of batch.records.entries()) {
      const { eventId, change } = record;
      if (eventId === '') continue; // about none
      if (known(eventId) || accepted.has(eventId) || change?.$case === 'ownerChanged' || change?.$case === 'deadLetterPurged') continue;
      if (change?.$case === 'deliveryAttempted') {
        pendingDeliveries.add(eventId);
        continue;
      }
      if (change?.$case === 'accepted') {
        accepted.add(eventId);
        if (!mayBeRepeated(record, appendTimeMsOf(batch, i))) continue;
        keyed.add(eventId);
      }
      ids.add(eventId);
    }
  }
  return { ids: [...ids], keyed: [...keyed], pendingDeliveries: [...pendingDeliveries] };
}

/** Folds batches over what is known. Pure: many records of one event become one change. */
export function fold(
  batches: readonly LogBatch[],
  known: (id: string) => OpenEventRow | undefined,
  hasEnded: (id: string) => boolean,
  placeOf: (partition: number) => FoldedPosition | undefined,
  delivering: (id: string) => FoldedEvent | undefined,
): FoldChanges {
  const changed = new Map<string, OpenEventRow>();
  const dead = new Map<string, FoldChanges['dead'][number]>();
  const purged: string[] = [];
  const redriven: FoldChanges['redriven'][number][] = [];
  const audits: AuditRecord[] = [];
  const moves = new Map<number, Moving>();
  for (const batch of batches) {
    const { partition, firstOffset, records } = batch;
    let move = moves.get(partition);
    if (!move) {
      const place = placeOf(partition);
      // The log may begin after the folded offset: it drops records after its retention.
      const from = place?.endOffset ?? firstOffset;
      moves.set(partition, (move = { partition, from, to: from, owner: place?.owner ?? NO_OWNER, ownerLogMs: place?.ownerLogMs }));
    }
    move.to = firstOffset + records.length;
    // Most logs store a batch at one moment: computed once.
    const logTimeMs = typeof batch.appendTimesMs === 'object' ? undefined : logTimeMsOf(batch, 0);
    let offset = firstOffset - 1;
    for (const record of records) {
      offset++;
      if (record.change?.$case === 'ownerChanged') {
        move.owner = ownerAfter(move.owner, record);
        move.ownerLogMs = logTimeMsOf(batch, offset - firstOffset);
      }
      if (record.eventId === '' || !isByOwner(move.owner, record)) continue;
      const audited = auditedOf(record);
      if (audited) audits.push(audited);
      const buried = deadLetterOf(record);
      if (buried !== '') {
        dead.delete(buried);
        purged.push(buried);
        if (record.change?.$case === 'accepted') redriven.push({ from: buried, to: record.eventId, timeMs: record.time?.getTime() ?? 0 });
      }
      const before =
        changed.get(record.eventId) ?? (isDelivery(record) ? deliveryRow(delivering(record.eventId), partition) : known(record.eventId));
      if (!before && hasEnded(record.eventId)) continue;
      const after = evolve(before?.folded, record, logTimeMs ?? logTimeMsOf(batch, offset - firstOffset));
      if (!after || after === before?.folded) continue;
      const acceptOffset = before?.acceptOffset ?? offset;
      changed.set(record.eventId, { ...before, folded: after, partition, acceptOffset, persisted: before?.persisted ?? false });
      const { event } = after;
      if (event?.state !== State.FAILED && event?.state !== State.EXPIRED) continue;
      const letter = dead.get(record.eventId);
      if (letter) dead.set(record.eventId, { ...letter, event });
      else if (!isDelivery(record)) dead.set(record.eventId, { event, payload: before?.folded.payload ?? NOTHING });
    }
  }
  return { moves: [...moves.values()], dead: [...dead.values()], purged, redriven, audits, ...rowsOf(changed) };
}

/** Sorts the changed events by the tables that they go to. */
function rowsOf(
  changed: ReadonlyMap<string, OpenEventRow>,
): Pick<FoldChanges, 'open' | 'ended' | 'closed' | 'pendingDeliveries' | 'settled' | 'amended' | 'touched'> {
  const open: OpenEventRow[] = [];
  const ended: Event[] = [];
  const closed: string[] = [];
  const pendingDeliveries: FoldChanges['pendingDeliveries'][number][] = [];
  const settled: string[] = [];
  const amended: Event[] = [];
  const touched = new Map<string, FoldedEvent>();
  for (const [id, row] of changed) {
    const { event } = row.folded;
    if (!event) continue;
    touched.set(id, row.folded);
    if (!isFinal(event.state)) {
      open.push(row);
      continue;
    }
    (row.hasPendingDelivery ? amended : ended).push(event);
    if (pendingDestination(row.folded)) pendingDeliveries.push(row);
    else if (row.hasPendingDelivery) settled.push(id);
    if (row.persisted) closed.push(id);
  }
  return { open, ended, closed, pendingDeliveries, settled, amended, touched };
}

/** Since when ended events and dead letters are kept, in milliseconds since the epoch. */
export type RetainedSince = { readonly eventsMs: number; readonly deadLettersMs: number };

/** Leaves out what is past its retention already, so that a log that is read from its beginning makes no rows that would be dropped at once. */
export function withoutPast(changes: FoldChanges, { eventsMs, deadLettersMs }: RetainedSince): FoldChanges {
  const isPast = ({ endTime }: Event, sinceMs: number): boolean => (endTime?.getTime() ?? 0) < sinceMs;
  const { ended, dead, redriven } = changes;
  const hasPast =
    ended.some((event) => isPast(event, eventsMs)) ||
    dead.some(({ event }) => isPast(event, deadLettersMs)) ||
    redriven.some(({ timeMs }) => timeMs < eventsMs);
  if (!hasPast) return changes;
  return {
    ...changes,
    ended: ended.filter((event) => !isPast(event, eventsMs)),
    dead: dead.filter(({ event }) => !isPast(event, deadLettersMs)),
    redriven: redriven.filter(({ timeMs }) => timeMs >= eventsMs),
  };
}

const NOTHING = Buffer.alloc(0);
type Moving = { partition: number; from: number; to: number; owner: PartitionOwner; ownerLogMs: number | undefined };

function isDelivery({ change }: EventRecord): boolean {
  return change?.$case === 'deliveryAttempted';
}

function deliveryRow(folded: FoldedEvent | undefined, partition: number): OpenEventRow | undefined {
  return folded && { folded, partition, acceptOffset: 0, persisted: false, hasPendingDelivery: true };
}

/** The dead letter a record puts an end to; empty if it is about none. */
function deadLetterOf({ eventId, change }: EventRecord): string {
  if (change?.$case === 'deadLetterPurged') return eventId;
  return change?.$case === 'accepted' ? change.value.redrivenFrom : '';
}
