import type { EventLog, LogBatch, Subscription } from '@evenfall/event-log';
import { isFinal, recordBytes } from '@evenfall/event-model';
import { yieldToLoop } from '@evenfall/time';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import {
  fold,
  type FoldChanges,
  type FoldedPosition,
  idsToLoad,
  type RetainedSince,
  type OpenEventRow,
  withoutPast,
} from '../domain/fold.ts';
import { type Pending, versionedOf } from '../domain/watchers.ts';
import { FOLD_BYTES, portionsOf } from '../domain/portions.ts';
import type { EventTable, Partitions, PutAsideTable } from '../ports.ts';
import { foldCarefully, isRefused, type PutAsideNote, putUnreadableAside } from './fold-carefully.ts';

export type FoldPorts = {
  readonly log: EventLog;
  readonly events: EventTable;
  readonly partitions: Partitions;
  readonly aside: PutAsideTable;
  /** Called for a record that could not be folded, and was put aside. */
  readonly onPutAside: (note: PutAsideNote) => void;
  /** Called with the reason when nothing could be folded; with undefined once something was. */
  readonly onTrouble: (error: unknown) => void;
  /** Called when the fold starts over from these offsets: until it has caught up again, the tables may be older than what was read before. */
  readonly onStartOver: (offsets: ReadonlyMap<number, number>) => void;
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
  /** Called with the partitions that this replica alone folds from now on. */
  readonly onOwned: (partitions: readonly number[]) => void;
  /** Events that ended before this are not written: a log may be retained longer than its view. Milliseconds since the epoch. */
  readonly retainedSinceMs: () => RetainedSince;
  /** Whether a call waits for the view to catch up: then nothing is held. */
  readonly isAwaited: () => boolean;
};

export type Folding = Subscription & {
  /** Writes at once what it holds. */
  hurry(): void;
  /** The event as it will be written; nothing if there is nothing to write of it. */
  pending(id: string): Pending | undefined;
};

/**
 * A few records are held for so long: an event that ends meanwhile comes and goes in one row, and several share one statement. It costs callers
 * that wait nothing, since nothing is held then. Readers of the tables in other processes see only what is written.
 */
const HOLD_MS = 20;
const HOLD_SHARED_MS = 5;
const HOLD_RECORDS = 64;

/** Open events kept in memory; others are read back when a record comes for them. */
const KEPT = 50_000;
const NOTHING = Buffer.alloc(0);
const NONE_ENDED: ReadonlySet<string> = new Set();
const NONE_DELIVERING: ReadonlyMap<string, FoldedEvent> = new Map();

/** What must be known in addition to open events to fold some batches: events that have ended already, and ended events with a pending delivery. */
type Loaded = { readonly ended: ReadonlySet<string>; readonly delivering: ReadonlyMap<string, FoldedEvent> };

/** Another replica has folded: the state in memory may be outdated. The subscription starts over from the database. */
class FoldedElsewhere extends Error {}

/** Folds the log into the tables. A second event-store doing the same changes nothing and costs a failed compare. */
export function startFold(ports: FoldPorts): Folding {
  const { log, events, partitions } = ports;
  const open = new Map<string, OpenEventRow>();
  const places = new Map<number, FoldedPosition>();
  let held: LogBatch[] = [];
  let changes: FoldChanges | undefined; // what is held amounts to, or is being written
  let turn: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let isCareful = false; // a record was refused for good: what is read next is folded with care
  let hasFailed = false; // what was held is not written: nothing after it may be, until it has been read again

  const mayHold = (): boolean => {
    let count = 0;
    let bytes = 0;
    for (const { records } of held) {
      count += records.length;
      for (const record of records) bytes += recordBytes(record);
      if (bytes > FOLD_BYTES / 2) return false;
      // Where watchers are notified only after the write, they would wait for it.
      if (count > HOLD_RECORDS || (!ports.notifiesAhead && !records.every(isAccept))) return false;
    }
    return true;
  };
  const dropHeld = (): void => {
    held = [];
    clearTimeout(timer);
    timer = undefined;
    if (changes && ports.notifiesAhead) ports.onNotFolded();
    changes = undefined;
  };
  const forget = (): void => {
    open.clear();
    dropHeld();
  };
  /** One thing at a time. */
  const inTurn = (task: () => Promise<void>): Promise<void> => {
    const done = turn.then(task);
    turn = done.catch(() => undefined);
    return done;
  };
  const load = async (batches: readonly LogBatch[]): Promise<Loaded> => {
    const { ids, keyed, pendingDeliveries } = idsToLoad(batches, (id) => open.has(id));
    const delivering = pendingDeliveries.length > 0 ? await events.loadPendingDeliveries(pendingDeliveries) : NONE_DELIVERING;
    if (ids.length === 0) return { ended: NONE_ENDED, delivering };
    const folded = await events.loadOpen(ids);
    for (const one of folded) if (one.event) open.set(one.event.id, { folded: one, partition: -1, acceptOffset: 0, persisted: true });
    return { ended: keyed.length > 0 ? await events.endedIds(keyed) : NONE_ENDED, delivering };
  };

  /** Computes what the held batches and these change, and notifies watchers. */
  const prepare = async (batches: readonly LogBatch[]): Promise<void> => {
    if (hasFailed) throw new Error('The records before these could not be folded');
    for (const { partition, firstOffset } of batches)
      if (firstOffset < (places.get(partition)?.endOffset ?? 0)) throw new FoldedElsewhere('These records have been folded before');
    held.push(...batches);
    const { ended, delivering } = await load(held);
    changes = withoutPast(
      fold(
        held,
        (id) => open.get(id),
        (id) => ended.has(id),
        (partition) => places.get(partition),
        (id) => delivering.get(id),
      ),
      ports.retainedSinceMs(),
    );
    if (ports.notifiesAhead) ports.onFolding(changes.touched);
  };

  /** Writes what is held. */
  const write = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    if (!changes) return;
    const written = changes;
    held = [];
    const ends = [...written.ended, ...written.dead.map(({ event }) => event)].map((event) => event.endTime?.getTime() ?? 0);
    try {
      await partitions.ensure(ends);
      if (!(await events.writeFold(written))) throw new FoldedElsewhere('Another event-store has folded these records');
    } catch (error) {
      dropHeld();
      throw error;
    }
    changes = undefined;
    ports.onTrouble(undefined);
    if (written.audits.length > 0) ports.onAudited();
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
    for (const { partition, to, owner, ownerLogMs } of written.moves) places.set(partition, { endOffset: to, owner, ownerLogMs });
    const endOffsets = new Map(written.moves.map((move) => [move.partition, move.to]));
    subscription.applied(endOffsets);
    ports.onFolded(written.touched, endOffsets);
  };
  /** Writes what is held without waiting for more. After a failure the records are read again. */
  const writeNow = (): Promise<void> =>
    inTurn(write).catch((error: unknown) => {
      noteFailure(error);
      hasFailed = true;
      subscription.again();
    });
  const noteFailure = (error: unknown): void => {
    if (error instanceof FoldedElsewhere) return;
    isCareful ||= isRefused(error);
    ports.onTrouble(error);
  };
  /** Folds what was read, and may hold the last of it. After a record was refused for good, with care, and nothing is held. */
  const foldAll = async (batches: readonly LogBatch[]): Promise<void> => {
    if (batches.some(({ unreadable }) => unreadable)) await putUnreadableAside(ports, batches);
    const portions = portionsOf(batches);
    for (const [i, portion] of portions.entries()) {
      if (isCareful) {
        await inTurn(() => foldCarefully({ ...ports, steps: { prepare, write, dropHeld } }, portion));
        continue;
      }
      await inTurn(() => prepare(portion));
      const isLast = i === portions.length - 1;
      if (isLast && mayHold() && !ports.isAwaited())
        timer ??= setTimeout(() => void writeNow(), ports.notifiesAhead ? HOLD_MS : HOLD_SHARED_MS);
      else await inTurn(write);
    }
    isCareful = false;
  };

  const positionsOf: EventTable['positions'] = (owned) =>
    events.positions(owned).catch((error: unknown) => {
      ports.onTrouble(error);
      throw error;
    });

  const subscription = log.subscribe({
    name: 'event-store',
    async owned(owned) {
      await turn;
      forget();
      const offsets = new Map<number, number>();
      for (const { partition, endOffset, owner, ownerLogMs } of await positionsOf(owned)) {
        offsets.set(partition, endOffset);
        places.set(partition, { endOffset, owner, ownerLogMs });
      }
      hasFailed = false;
      ports.onOwned(owned);
      ports.onStartOver(offsets);
      return offsets;
    },
    async apply(batches) {
      // The queue follows the same log: what it sends to run goes first, and more gathers here meanwhile.
      if (batches.some(({ records }) => records.some(isAccept))) await yieldToLoop();
      await foldAll(batches).catch((error: unknown) => {
        noteFailure(error);
        throw error; // the same are read again, with care if one of them is at fault
      });
    },
    lost() {
      forget();
      ports.onOwned([]);
    },
  });
  return {
    ...subscription,
    hurry() {
      if (changes) void writeNow();
    },
    pending(id) {
      const folded = changes?.touched.get(id);
      return folded && { upcoming: ports.notifiesAhead ? versionedOf(folded) : undefined, written: writeNow };
    },
    async stop() {
      await subscription.stop();
      forget(); // the log has it
      await turn;
    },
  };
}

function isAccept({ change }: EventRecord): boolean {
  return change?.$case === 'accepted';
}
