import { countable } from '@evenfall/telemetry';

/** Numbers that the queue adds to. `accepted_total` and `taken_over` are written by `admit-events` and `own-partitions`, `ended_total` by `apply-committed`. */
export type Counters = {
  accepted_total: number;
  taken_over: number;
  ended_total: number;
  /** Written by the writers, as is the next. */
  append_failures_total: number;
  records_replaced_total: number;
};

export function createCounters(): Counters {
  return countable('queue', {
    accepted_total: {
      doc: 'New events this replica took in as their owner; one asked for twice with one key counts once.',
      kind: 'counter',
    },
    taken_over: { doc: 'Open events this replica took over from before it started or from another, less those it gave up.', kind: 'gauge' },
    ended_total: { doc: 'Events this replica brought to a final state.', kind: 'counter' },
    append_failures_total: { doc: 'Appends to the event log that failed and were tried again.', kind: 'counter' },
    records_replaced_total: {
      doc: 'Records the event log refused for good: one that says so was written instead, or nothing where there is none.',
      kind: 'counter',
    },
  });
}
