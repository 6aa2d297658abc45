import type { LogBatch } from '@evenfall/event-log';
import { isFinal, recordBytes } from '@evenfall/event-model';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import {
  fold,
  type FoldChanges,
  type FoldedPosition,
  idsToLoad,
  type OpenEventRow,
  type RetainedSince,
  withoutPast,
} from '../domain/fold.ts';
import { FOLD_BYTES } from '../domain/portions.ts';
import { type Pending, versionedOf } from '../domain/watchers.ts';
import type { EventTable, Partitions } from '../ports.ts';

const HOLD_RECORDS = 64;
/** Open events kept in memory; others are read back when a record comes for them. */
const KEPT = 50_000;
const NOTHING = Buffer.alloc(0);
const NONE_ENDED: ReadonlySet<string> = new Set();
const NONE_DELIVERING: ReadonlyMap<string, FoldedEvent> = new Map();

/** What must be known in addition to open events to fold some batches: events that have ended already, and ended events with a pending delivery. */
type Loaded = { readonly ended: ReadonlySet<string>; readonly delivering: ReadonlyMap<string, FoldedEvent> };
type OpenEvents = Map<string, OpenEventRow>;

/** Another replica has folded: the state in memory may be outdated. The subscription starts over from the database. */
export class FoldedElsewhere extends Error {}

export type HeldPorts = {
  readonly events: EventTable;
  readonly partitions: Partitions;
  /** Called with the reason when nothing could be folded; with undefined once something was. */
  readonly onTrouble: (error: unknown) => void;
  /** Whether watchers are notified before the tables are written: only where no other process reads them. */
  readonly notifiesAhead: boolean;
  /** Called, if so, with the events that are about to be written. */
  readonly onFolding: (touched: ReadonlyMap<string, FoldedEvent>) => void;
  /** Called when the write failed: the records are read again, and written then. */
  readonly onNotFolded: () => void;
  /** Called when a fold with audit records for the registry is in the database. */
  readonly onAudited: () => void;
  /** Called after every fold that is in the database. */
  readonly onFolded: (touched: ReadonlyMap<string, FoldedEvent>, endOffsets: ReadonlyMap<number, number>) => void;
  /** Events that ended before this are not written: a log may be retained longer than its view. Milliseconds since the epoch. */
  readonly retainedSinceMs: () => RetainedSince;
};

export type HeldEvents = {
  /** Called when what was held is dropped, and not written. */
  readonly onDropped: () => void;
  readonly onWritten: (endOffsets: ReadonlyMap<number, number>) => void;
};

/** Batches that were read and are not written yet, with the changes that they amount to, and the state that the next ones are folded over. */
export type HeldBatches = {
  /** Adds batches, computes what all that is held changes, and notifies watchers. */
  prepare(batches: readonly LogBatch[]): Promise<void>;
  /** Writes what is held. If that fails, it is dropped. */
  write(): Promise<void>;
  drop(): void;
  /** Drops what is held, and the state of open events. */
  forget(): void;
  /** Refuses further batches until `startFrom`: those before them are not written. */
  fail(): void;
  startFrom(positions: Awaited<ReturnType<EventTable['positions']>>): void;
  isEmpty(): boolean;
  /** Whether a few more records may be waited for. */
  mayBeHeld(): boolean;
  /** The event as it will be written; undefined if nothing of it is held. */
  pending(id: string): Pick<Pending, 'upcoming'> | undefined;
};

export function createHeldBatches(ports: HeldPorts, { onDropped, onWritten }: HeldEvents): HeldBatches {
  const { events, partitions, notifiesAhead } = ports;
  const open: OpenEvents = new Map();
  const positions = new Map<number, FoldedPosition>();
  let held: LogBatch[] = [];
  let changes: FoldChanges | undefined; // of what is held, or is being written
  let hasFailed = false;

  const drop = (): void => {
    held = [];
    onDropped();
    if (changes && notifiesAhead) ports.onNotFolded();
    changes = undefined;
  };
  return {
    drop,
    async prepare(batches) {
      if (hasFailed) throw new Error('The records before these could not be folded');
      for (const { partition, firstOffset } of batches)
        if (firstOffset < (positions.get(partition)?.endOffset ?? 0)) throw new FoldedElsewhere('These records have been folded before');
      held.push(...batches);
      const { ended, delivering } = await load(events, open, held);
      changes = withoutPast(
        fold(
          held,
          (id) => open.get(id),
          (id) => ended.has(id),
          (partition) => positions.get(partition),
          (id) => delivering.get(id),
        ),
        ports.retainedSinceMs(),
      );
      if (notifiesAhead) ports.onFolding(changes.touched);
    },
    async write() {
      if (!changes) return;
      const written = changes;
      held = [];
      const ends = [...written.ended, ...written.dead.map(({ event }) => event)].map((event) => event.endTime?.getTime() ?? 0);
      try {
        await partitions.ensure(ends);
        if (!(await events.writeFold(written))) throw new FoldedElsewhere('Another event-store has folded these records');
      } catch (error) {
        drop();
        throw error;
      }
      changes = undefined;
      ports.onTrouble(undefined);
      if (written.audits.length > 0) ports.onAudited();
      keepOpen(open, written);
      for (const { partition, to, owner, ownerLogMs } of written.moves) positions.set(partition, { endOffset: to, owner, ownerLogMs });
      const endOffsets = new Map(written.moves.map((move) => [move.partition, move.to]));
      onWritten(endOffsets);
      ports.onFolded(written.touched, endOffsets);
    },
    forget() {
      open.clear();
      drop();
    },
    fail() {
      hasFailed = true;
    },
    startFrom(rows) {
      for (const { partition, endOffset, owner, ownerLogMs } of rows) positions.set(partition, { endOffset, owner, ownerLogMs });
      hasFailed = false;
    },
    isEmpty: () => changes === undefined,
    mayBeHeld: () => mayBeHeld(held, notifiesAhead),
    pending(id) {
      const folded = changes?.touched.get(id);
      return folded && { upcoming: notifiesAhead ? versionedOf(folded) : undefined };
    },
  };
}

export function isAccept({ change }: EventRecord): boolean {
  return change?.$case === 'accepted';
}

function mayBeHeld(held: readonly LogBatch[], notifiesAhead: boolean): boolean {
  let count = 0;
  let bytes = 0;
  for (const { records } of held) {
    count += records.length;
    for (const record of records) bytes += recordBytes(record);
    if (bytes > FOLD_BYTES / 2) return false;
    // Where watchers are notified only after the write, they would wait for it.
    if (count > HOLD_RECORDS || (!notifiesAhead && !records.every(isAccept))) return false;
  }
  return true;
}

/** Loads what these batches need: open events into `open`, and what is known of the others. */
async function load(events: EventTable, open: OpenEvents, batches: readonly LogBatch[]): Promise<Loaded> {
  const { ids, keyed, pendingDeliveries } = idsToLoad(batches, (id) => open.has(id));
  const delivering = pendingDeliveries.length > 0 ? await events.loadPendingDeliveries(pendingDeliveries) : NONE_DELIVERING;
  if (ids.length === 0) return { ended: NONE_ENDED, delivering };
  const folded = await events.loadOpen(ids);
  for (const one of folded) if (one.event) open.set(one.event.id, { folded: one, partition: -1, acceptOffset: 0, persisted: true });
  return { ended: keyed.length > 0 ? await events.endedIds(keyed) : NONE_ENDED, delivering };
}

/** Keeps the open events that were written, at most `KEPT` of them, and removes those that have ended. */
function keepOpen(open: OpenEvents, written: FoldChanges): void {
  for (const [id, folded] of written.touched) {
    if (!folded.event || isFinal(folded.event.state)) open.delete(id);
  }
  for (const row of written.open) {
    const id = row.folded.event?.id;
    // The row has the payload now; the fold never looks at it.
    if (id !== undefined) open.set(id, { ...row, folded: { ...row.folded, payload: NOTHING }, persisted: true });
  }
  for (const id of open.keys()) {
    if (open.size <= KEPT) break;
    open.delete(id);
  }
}
