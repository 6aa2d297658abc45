import { ViewPartition_Kind as Kind } from '@evenfall/contracts/v1/operator_service';
import { SPAN_MS } from './spans.ts';

/** How long each kind of row is kept, in milliseconds. */
export type Retention = { readonly eventsMs: number; readonly deadLettersMs: number };

/** The tables that are partitioned by time, and what they hold. */
export const KINDS = { ended_event: Kind.EVENTS, log_line: Kind.LOG_LINES, dead_letter: Kind.DEAD_LETTERS } as const;
export type PartitionedTable = keyof typeof KINDS;

/** One partition: the table it is of, and where its span begins, in milliseconds since the epoch. */
export type Partition = { readonly name: string; readonly table: PartitionedTable; readonly spanMs: number };

export function partitionName(table: PartitionedTable, spanMs: number): string {
  return `${table}_h${spanMs / 3_600_000}`;
}

/** Reads a partition's name; undefined for a table that is none. */
export function partitionNamed(name: string): Partition | undefined {
  const [, table, hours] = /^(ended_event|log_line|dead_letter)_h(\d{1,9})$/.exec(name) ?? [];
  return table === undefined ? undefined : { name, table: table as PartitionedTable, spanMs: Number(hours) * 3_600_000 };
}

/** When the last of its rows is past the retention. */
export function dueMs({ table, spanMs }: Partition, retention: Retention): number {
  return spanMs + SPAN_MS + (table === 'dead_letter' ? retention.deadLettersMs : retention.eventsMs);
}

/** A reading of both clocks, and the monotonic time until which the wall clock is not trusted. */
export type ClockTrust = { readonly wallMs: number; readonly monotonicMs: number; readonly heldUntilMs: number };

/** A wall clock that gained more than this on the monotonic one was set. */
const STEP_MS = 60_000;
/** After a longer absence it is unknown whether time has passed or the clock was set. */
const ABSENCE_MS = 24 * 3_600_000;
/** How long a clock must go on without a step before anything is dropped by it. A wrong one is noticed, and set right, within that time. */
const HOLD_MS = 3_600_000;

/**
 * Looks at the clocks once more. What is dropped is gone for good, so a clock that was set ahead, or a start after a long absence, holds
 * everything back for an hour; reads hide what is past the retention all the same. `lastRoundMs` is the time of the last trusted round of any replica.
 */
export function lookAtClock(
  before: ClockTrust | undefined,
  now: { readonly wallMs: number; readonly monotonicMs: number },
  lastRoundMs: number | undefined,
): ClockTrust {
  const gainedMs = before ? now.wallMs - before.wallMs - (now.monotonicMs - before.monotonicMs) : 0;
  const absentMs = before || lastRoundMs === undefined ? 0 : now.wallMs - lastRoundMs;
  const isDoubtful = gainedMs > STEP_MS || absentMs > ABSENCE_MS;
  const heldUntilMs = isDoubtful ? now.monotonicMs + HOLD_MS : (before?.heldUntilMs ?? Number.NEGATIVE_INFINITY);
  return { ...now, heldUntilMs };
}

export function isHeld(trust: ClockTrust): boolean {
  return trust.monotonicMs < trust.heldUntilMs;
}
