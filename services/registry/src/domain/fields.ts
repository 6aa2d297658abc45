import { refuse, type Refusal } from '@evenfall/errors';
import { durationOfMs, formatDuration, msOfDuration, type ProtoDuration } from '@evenfall/time';

export function invalid(field: string, rule: string): Refusal {
  return refuse('INVALID_FIELD', { field, rule });
}

/** The duration within its bounds, or the default. */
export function boundedDuration(
  field: string,
  given: ProtoDuration | undefined,
  minMs: number,
  maxMs: number,
  fallbackMs: number,
): ProtoDuration {
  return optionalDuration(field, given, minMs, maxMs) ?? durationOfMs(fallbackMs);
}

/** The duration within its bounds, or none. */
export function optionalDuration(field: string, given: ProtoDuration | undefined, minMs: number, maxMs: number): ProtoDuration | undefined {
  if (given === undefined) return undefined;
  const ms = msOfDuration(given);
  if (ms < minMs || ms > maxMs || given.nanos < 0 || given.nanos > 999_999_999) {
    throw invalid(field, `a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`);
  }
  return given;
}
