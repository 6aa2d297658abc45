import type { EventLog } from '@evenfall/event-log';
import { refuse } from '@evenfall/errors';
import { delay } from '@evenfall/time';
import type { Applied } from '../domain/applied.ts';

/** How long a read waits for the view before it is refused. */
const WITHIN_MS = 10_000;
const AGAIN_MS = 100;
/** How often the position of the view is read from the database while a call waits: other replicas fold too, and do not notify this one. */
const LOOK_MS = 20;

/** Makes reads see what was written before them. */
export type ReadBarrier = {
  /**
   * Waits while the view is behind what it has shown before. Folds are committed without waiting for the disk: a database that crashed may
   * have lost the last of them, and the fold does them again. Costs nothing otherwise.
   */
  steady(): Promise<void>;
  /** Waits until everything the log holds now is in the view. Throws VIEW_UNAVAILABLE or LOG_UNAVAILABLE. */
  caughtUp(): Promise<void>;
  /** The same for a caller that can wait a few milliseconds more. */
  caughtUpSoon(): Promise<void>;
  /** Waits until these positions are in the view. */
  reached(endOffsets: ReadonlyMap<number, number>): Promise<void>;
};

/**
 * Makes the barrier, and the way to close it until the view has caught up with what the log holds now. `look` asks the database how far the view
 * is: what this replica folds it knows by itself, and at once.
 */
export function createReadBarrier(
  log: EventLog,
  applied: Applied,
  look: () => Promise<ReadonlyMap<number, number>>,
  signal: AbortSignal,
  { hurry, withinMs = WITHIN_MS }: { /** Called when a call waits. */ readonly hurry: () => void; readonly withinMs?: number },
): { readonly barrier: ReadBarrier; isAwaited(): boolean; startOver(): void } {
  const unavailable = () => refuse('VIEW_UNAVAILABLE', { detail: 'it is behind the event log' });
  let behind: Promise<unknown> | undefined;
  let times = 0;
  let waiting = 0;
  let urgent = 0;
  let looking = false;
  const keepLooking = async (): Promise<void> => {
    looking = true;
    while (waiting > 0 && (await delay(LOOK_MS, signal))) {
      const time = times;
      const found = waiting > 0 ? await look().catch(() => undefined) : undefined; // the database is away: calls wait, or fail at their deadline
      if (found && time === times) applied.moved(found); // an answer to a question from before a start over may be outdated
    }
    looking = false;
  };
  const reachedWithin = async (endOffsets: ReadonlyMap<number, number>, isUrgent = true): Promise<boolean> => {
    if (applied.has(endOffsets)) return true;
    waiting++;
    if (isUrgent) urgent++;
    if (!looking) void keepLooking();
    if (isUrgent) hurry();
    try {
      return await applied.reached(endOffsets, withinMs);
    } finally {
      waiting--;
      if (isUrgent) urgent--;
    }
  };
  const reached = async (endOffsets: ReadonlyMap<number, number>, isUrgent = true): Promise<void> => {
    if (!(await reachedWithin(endOffsets, isUrgent))) throw unavailable();
  };
  const catchUp = async (time: number): Promise<void> => {
    while (time === times && !signal.aborted) {
      const ends = await log.endOffsets().catch(() => undefined); // reads say so themselves when they ask
      if (ends && (await reachedWithin(ends))) break;
      await delay(AGAIN_MS, signal);
    }
    if (time === times) behind = undefined;
  };
  return {
    barrier: {
      async steady() {
        for (const until = performance.now() + withinMs; behind;) {
          const left = until - performance.now();
          if (left <= 0) throw unavailable();
          await Promise.race([behind, delay(left, signal)]);
        }
      },
      caughtUp: async () => reached(await log.endOffsets()),
      caughtUpSoon: async () => reached(await log.endOffsets(), false),
      reached,
    },
    isAwaited: () => urgent > 0,
    startOver() {
      behind = catchUp(++times);
    },
  };
}
