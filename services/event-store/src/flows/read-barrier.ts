import type { EventLog } from '@evenfall/event-log';
import { refuse } from '@evenfall/errors';
import type { Applied } from '../domain/applied.ts';

/** How long a read waits for the view before it is refused. */
const WITHIN_MS = 10_000;

/** Makes reads see what was written before them. */
export type ReadBarrier = {
  /** Waits until everything the log holds now is in the view. Throws VIEW_UNAVAILABLE or LOG_UNAVAILABLE. */
  caughtUp(): Promise<void>;
  /** Waits until these positions are in the view. */
  reached(endOffsets: ReadonlyMap<number, number>): Promise<void>;
};

export function createReadBarrier(log: EventLog, applied: Applied, withinMs = WITHIN_MS): ReadBarrier {
  const reached = async (endOffsets: ReadonlyMap<number, number>): Promise<void> => {
    if (!(await applied.reached(endOffsets, withinMs))) throw refuse('VIEW_UNAVAILABLE', { detail: 'it is behind the event log' });
  };
  return { caughtUp: async () => reached(await log.endOffsets()), reached };
}
