import type { EventLog, LogBatch, Subscription } from '@evenfall/event-log';
import { isFinal } from '@evenfall/event-model';
import { yieldToLoop } from '@evenfall/time';
import type { StoredEvent } from '@evenfall/contracts/log/v1/stored_event';
import { fold, type FoldChanges, type FoldedPlace, idsToLoad, type KeptSince, type OpenEntry, withoutPast } from '../domain/fold.ts';
import type { EventTable, Partitions } from '../ports.ts';

export type FoldPorts = {
  readonly log: EventLog;
  readonly events: EventTable;
  readonly partitions: Partitions;
  /** Told that the fold starts over from these offsets: until it has caught up again, the tables may be older than what was read before. */
  readonly onStartOver: (offsets: ReadonlyMap<number, number>) => void;
  /** Told what is about to be written: the log says so, and the tables will within milliseconds. */
  readonly onFolding: (touched: ReadonlyMap<string, StoredEvent>) => void;
  /** Told that what was about to be written was not: it will be read again, and written then. */
  readonly onNotFolded: () => void;
  /** Told after every fold that is in the database. */
  readonly onFolded: (touched: ReadonlyMap<string, StoredEvent>, endOffsets: ReadonlyMap<number, number>) => void;
  /** Told which partitions are folded here from now on, by nobody else. */
  readonly onOwned: (partitions: readonly number[]) => void;
  /** What ended longer ago is not written any more: a log may be kept longer than its view. Milliseconds since the epoch. */
  readonly keptSinceMs: () => KeptSince;
  /** Whether somebody waits for the view to catch up: then nothing is held. */
  readonly isAwaited: () => boolean;
};

export type Folding = Subscription & {
  /** Has it write at once what it holds. */
  hurry(): void;
  /** Whether it holds the accept of this event: it is there, and is told of soon. */
  holds(id: string): boolean;
  /** When what is being written of this event has been, or has failed; nothing if nothing is. Never rejects. */
  written(id: string): Promise<void> | undefined;
};

/**
 * A few accepts are held for so long: most events have ended by then, and come and go in one row, in one statement instead of two. It costs those
 * nothing who wait, since then nothing is held.
 */
const HOLD_MS = 5;
const HOLD_RECORDS = 64;

/** Open events kept in memory; others are read back when a record comes for them. */
const KEPT = 50_000;
const NOTHING = Buffer.alloc(0);
const NONE_ENDED: ReadonlySet<string> = new Set();
const NONE_OWED: ReadonlyMap<string, StoredEvent> = new Map();

/** What must be known beside open events to fold some batches: who has ended already, and who owes what. */
type Loaded = { readonly ended: ReadonlySet<string>; readonly owing: ReadonlyMap<string, StoredEvent> };

/** Somebody else folded: what is in memory may be old. The subscription starts over from the database. */
class FoldedElsewhere extends Error {}

/** Folds the log into the tables. A second event-store doing the same changes nothing and costs a failed compare. */
export function startFold(ports: FoldPorts): Folding {
  const { log, events, partitions } = ports;
  const open = new Map<string, OpenEntry>();
  const places = new Map<number, FoldedPlace>();
  let held: LogBatch[] = [];
  let holding: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let writing: { readonly touched: ReadonlyMap<string, StoredEvent>; readonly done: Promise<void> } | undefined;
  let hasFailed = false; // what was held is not written: nothing after it may be, until it has been read again

  const forget = (): void => {
    open.clear();
    held = [];
    clearTimeout(timer);
    timer = undefined;
  };
  const load = async (batches: readonly LogBatch[]): Promise<Loaded> => {
    const { ids, keyed, owed } = idsToLoad(batches, (id) => open.has(id));
    const owing = owed.length > 0 ? await events.loadOwed(owed) : NONE_OWED;
    if (ids.length === 0) return { ended: NONE_ENDED, owing };
    const stored = await events.loadOpen(ids);
    for (const one of stored) if (one.event) open.set(one.event.id, { stored: one, partition: -1, acceptOffset: 0, persisted: true });
    return { ended: keyed.length > 0 ? await events.endedIds(keyed) : NONE_ENDED, owing };
  };

  /** Writes a fold. Those who watch are told first, and those who read wait for it. */
  const write = async (changes: FoldChanges): Promise<void> => {
    const done = Promise.withResolvers<undefined>();
    writing = { touched: changes.touched, done: done.promise };
    let isWritten = false;
    try {
      ports.onFolding(changes.touched);
      if (!(await events.writeFold(changes))) throw new FoldedElsewhere('Another event-store has folded these records');
      isWritten = true;
    } finally {
      if (!isWritten) ports.onNotFolded();
      writing = undefined;
      done.resolve(undefined);
    }
  };

  /** Folds what is held. */
  const writeHeld = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const batches = held;
    held = [];
    if (batches.length === 0) return;
    for (const { partition, firstOffset } of batches)
      if (firstOffset < (places.get(partition)?.endOffset ?? 0)) throw new FoldedElsewhere('These records have been folded before');
    const { ended, owing } = await load(batches);
    const changes = withoutPast(
      fold(
        batches,
        (id) => open.get(id),
        (id) => ended.has(id),
        (partition) => places.get(partition),
        (id) => owing.get(id),
      ),
      ports.keptSinceMs(),
    );
    await partitions.ensure([...changes.ended, ...changes.dead.map(({ event }) => event)].map((event) => event.endTime?.getTime() ?? 0));
    await write(changes);
    for (const [id, stored] of changes.touched) {
      if (!stored.event || isFinal(stored.event.state)) open.delete(id);
    }
    for (const entry of changes.open) {
      const id = entry.stored.event?.id;
      // The row has the payload now; the fold never looks at it.
      if (id !== undefined) open.set(id, { ...entry, stored: { ...entry.stored, payload: NOTHING }, persisted: true });
    }
    for (const id of open.keys()) {
      if (open.size <= KEPT) break;
      open.delete(id);
    }
    for (const { partition, to, owner } of changes.moves) places.set(partition, { endOffset: to, owner });
    const endOffsets = new Map(changes.moves.map((move) => [move.partition, move.to]));
    subscription.applied(endOffsets);
    ports.onFolded(changes.touched, endOffsets);
  };
  /** Folds what is held without having been told of more; what fails is read again. */
  const writeNow = (): void => {
    holding = holding.then(writeHeld).catch(() => {
      hasFailed = true;
      subscription.again();
    });
  };

  const subscription = log.subscribe({
    name: 'event-store',
    async owned(owned) {
      forget();
      await holding;
      hasFailed = false;
      const offsets = new Map<number, number>();
      for (const { partition, endOffset, owner } of await events.positions(owned)) {
        offsets.set(partition, endOffset);
        places.set(partition, { endOffset, owner });
      }
      ports.onOwned(owned);
      ports.onStartOver(offsets);
      return offsets;
    },
    async apply(batches) {
      await yieldToLoop(); // the queue follows the same log: what it sends to run goes first, and more gathers here meanwhile
      await holding;
      if (hasFailed) throw new Error('The records before these could not be folded');
      held.push(...batches);
      if (mayWait(held) && !ports.isAwaited()) timer ??= setTimeout(writeNow, HOLD_MS);
      else await writeHeld();
    },
    lost() {
      forget();
      ports.onOwned([]);
    },
  });
  return {
    ...subscription,
    hurry() {
      if (held.length > 0) writeNow();
    },
    written: (id) => (writing?.touched.has(id) ? writing.done : undefined),
    holds: (id) => held.some(({ records }) => records.some(({ eventId }) => eventId === id)),
    async stop() {
      await subscription.stop();
      forget(); // the log has it
      await holding;
    },
  };
}

function mayWait(batches: readonly LogBatch[]): boolean {
  let count = 0;
  for (const { records } of batches) {
    count += records.length;
    if (count > HOLD_RECORDS || records.some(({ change }) => change?.$case !== 'accepted')) return false;
  }
  return true;
}
