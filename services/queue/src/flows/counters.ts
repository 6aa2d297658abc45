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
      doc: 'Events that this replica accepted as their owner. An event that is submitted twice with one idempotency key counts once.',
      kind: 'counter',
    },
    taken_over: {
      doc: 'Open events that this replica took over when it became the owner of their partition, less those it handed over.',
      kind: 'gauge',
    },
    ended_total: { doc: 'Events this replica brought to a final state.', kind: 'counter' },
    append_failures_total: { doc: 'Appends to the event log that failed and were tried again.', kind: 'counter' },
    records_replaced_total: {
      doc: 'Records that the event log refused permanently. A reduced record was written instead, where there is one.',
      kind: 'counter',
    },
  });
}
