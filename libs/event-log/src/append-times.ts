import type { LogBatch } from './port.ts';

/** When a record of a batch was appended, in milliseconds since 1970, by the log's clock or its writer's; undefined where the log does not say. */
export function appendTimeMsOf({ appendTimesMs: times }: Pick<LogBatch, 'appendTimesMs'>, index: number): number | undefined {
  return typeof times === 'object' ? times[index] : times;
}

/** The latest time that a Date holds. */
const MOST_MS = 8.64e15;

/** The same, by the log's own clock alone; what is no time counts as none. */
export function logTimeMsOf(batch: Pick<LogBatch, 'appendTimesMs' | 'byWriterClock'>, index: number): number | undefined {
  const timeMs = batch.byWriterClock ? undefined : appendTimeMsOf(batch, index);
  return timeMs !== undefined && timeMs >= 0 && timeMs <= MOST_MS ? timeMs : undefined;
}
