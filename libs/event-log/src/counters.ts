import { countable } from '@evenfall/telemetry';

/** What every driver counts of its appends. */
export const appendCounters = () =>
  countable('event_log', {
    appends_total: { doc: 'Appends that are durable, each of one or more records.', kind: 'counter' },
    records_total: { doc: 'Records that are durable.', kind: 'counter' },
    flushes_total: { doc: 'Flushes: one write to the log each, whatever the number of appends.', kind: 'counter' },
  });
