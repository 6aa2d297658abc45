import { duration } from '@evenfall/config';

/** What the event-store reads from the environment. */
export const eventStoreSettings = {
  retentionMs: duration({
    name: 'EVENFALL_RETENTION',
    doc: 'How long the status and the log of an event are kept after it has ended.',
    fallback: '72h',
    minMs: 3_600_000,
    maxMs: 30 * 24 * 3_600_000,
  }),
};
