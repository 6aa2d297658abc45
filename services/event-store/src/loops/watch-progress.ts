import type { EventLog } from '@evenfall/event-log';
import { type Clock, delay } from '@evenfall/time';
import type { Progress } from '../domain/progress.ts';
import type { EventTable } from '../ports.ts';

const EVERY_MS = 2_000;

/** Compares the view with the log, once in a while; the answer to whether events can be read comes from that. */
export async function watchProgress(
  {
    log,
    events,
    progress,
    clock,
  }: { readonly log: EventLog; readonly events: EventTable; readonly progress: Progress; readonly clock: Clock },
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      progress.asked(clock.monotonic());
      const ends = await log.endOffsets();
      progress.look(clock.monotonic(), ends, await events.applied());
    } catch (error) {
      if (!signal.aborted) progress.failed(clock.monotonic(), error);
    }
    await delay(EVERY_MS, signal);
  }
}
