import { integer } from '@evenfall/config';

/** What the queue reads from the environment. */
export const queueSettings = {
  laneLimit: integer({
    name: 'EVENFALL_LANE_LIMIT',
    doc: 'Events that may wait in one lane; more are refused with LANE_FULL.',
    fallback: '100000',
    min: 1,
    max: 100_000_000,
  }),
};
