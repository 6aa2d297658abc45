import type { EventLog, LogBatch, Subscriber, Subscription } from '@evenfall/event-log';
import { yieldToLoop } from '@evenfall/time';
import type { Pending } from '../domain/watchers.ts';
import { portionsOf } from '../domain/portions.ts';
import type { PutAsideTable } from '../ports.ts';
import { foldCarefully, isRefused, type PutAsideNote, putUnreadableAside } from './fold-carefully.ts';
import { createHeldBatches, FoldedElsewhere, type HeldBatches, type HeldPorts, isAccept } from './held-batches.ts';

export type FoldPorts = HeldPorts & {
  readonly log: EventLog;
  readonly aside: PutAsideTable;
  /** Called for a record that could not be folded, and was put aside. */
  readonly onPutAside: (note: PutAsideNote) => void;
  /** Called when the fold starts over from these offsets: until it has caught up again, the tables may be older than what was read before. */
  readonly onStartOver: (offsets: ReadonlyMap<number, number>) => void;
  /** Called with the partitions that this replica alone folds from now on. */
  readonly onOwned: (partitions: readonly number[]) => void;
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

type Steps = {
  /** Waits for the step that is under way. */
  readonly settled: () => Promise<void>;
  readonly foldAll: (batches: readonly LogBatch[]) => Promise<void>;
  readonly noteFailure: (error: unknown) => void;
};

/** Folds the log into the tables. A second event-store doing the same changes nothing and costs a failed compare. */
export function startFold(ports: FoldPorts): Folding {
  let turn: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  let isCareful = false; // a record was refused permanently: what is read next is folded with care

  const stopTimer = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  const held = createHeldBatches(ports, {
    onDropped: stopTimer,
    onWritten: (endOffsets) => subscription.applied(endOffsets),
  });
  /** One thing at a time. */
  const inTurn = (task: () => Promise<void>): Promise<void> => {
    const done = turn.then(task);
    turn = done.catch(() => undefined);
    return done;
  };
  const write = (): Promise<void> => {
    stopTimer();
    return held.write();
  };
  /** Writes what is held without waiting for more. After a failure the records are read again. */
  const writeNow = (): Promise<void> =>
    inTurn(write).catch((error: unknown) => {
      noteFailure(error);
      held.fail();
      subscription.again();
    });
  const noteFailure = (error: unknown): void => {
    if (error instanceof FoldedElsewhere) return;
    isCareful ||= isRefused(error);
    ports.onTrouble(error);
  };
  /** Folds what was read, and may hold the last of it. After a permanent refusal of a record it folds with care, and holds nothing. */
  const foldAll = async (batches: readonly LogBatch[]): Promise<void> => {
    if (batches.some(({ unreadable }) => unreadable)) await putUnreadableAside(ports, batches);
    const portions = portionsOf(batches);
    for (const [i, portion] of portions.entries()) {
      if (isCareful) {
        await inTurn(() => foldCarefully({ ...ports, steps: { prepare: held.prepare, write, dropHeld: held.drop } }, portion));
        continue;
      }
      await inTurn(() => held.prepare(portion));
      const isLast = i === portions.length - 1;
      if (isLast && held.mayBeHeld() && !ports.isAwaited())
        timer ??= setTimeout(() => void writeNow(), ports.notifiesAhead ? HOLD_MS : HOLD_SHARED_MS);
      else await inTurn(write);
    }
    isCareful = false;
  };

  const subscription = ports.log.subscribe(subscriberOf(ports, held, { settled: () => turn, foldAll, noteFailure }));
  return {
    ...subscription,
    hurry() {
      if (!held.isEmpty()) void writeNow();
    },
    pending(id) {
      const pending = held.pending(id);
      return pending && { ...pending, written: writeNow };
    },
    async stop() {
      await subscription.stop();
      held.forget(); // the log has it
      await turn;
    },
  };
}

/** The reader of the log: it starts at the offsets in the database, and hands on what it receives. */
function subscriberOf(ports: FoldPorts, held: HeldBatches, { settled, foldAll, noteFailure }: Steps): Subscriber {
  return {
    name: 'event-store',
    async owned(owned) {
      await settled();
      held.forget();
      const positions = await ports.events.positions(owned).catch((error: unknown) => {
        ports.onTrouble(error);
        throw error;
      });
      held.startFrom(positions);
      ports.onOwned(owned);
      const offsets = new Map(positions.map(({ partition, endOffset }) => [partition, endOffset]));
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
      held.forget();
      ports.onOwned([]);
    },
  };
}
