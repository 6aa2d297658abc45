import { type Load, startLoad } from './load.ts';
import type { RestClient } from './rest-client.ts';

/** Throws an error of so many bytes, or returns a result of so many. */
const LARGE = `
exports.handler = async ({ errorBytes, resultBytes }) => {
  if (errorBytes) throw new Error('x'.repeat(errorBytes));
  return 'r'.repeat(resultBytes);
};
`;
const MB = 1_000_000;
/** At the same moment now and then: a batch of them is more than one append, one message or one fold takes. */
const BURST = 24;
const BURST_EVERY_MS = 15_000;

/** Deploys the function that says much. */
export function deployLarge(rest: RestClient): Promise<void> {
  const fn = {
    name: 'large',
    runtime: 'nodejs',
    handler: 'index.handler',
    timeout: '30s',
    memory_mb: 256,
    event_invoke: { max_retries: 0 },
  };
  return rest.deploy(fn, { 'index.js': LARGE });
}

/** Large errors (1 to 9 MB) and large results (250 KB) at a steady rate, and bursts of large results. */
export function startLargeLoad(rest: RestClient, random: () => number): Load {
  const one = (): object => (random() < 0.3 ? { errorBytes: Math.round((1 + 8 * random()) * MB) } : { resultBytes: MB / 4 });
  const steady = startLoad(rest, 'large', 2, one);
  const ids: string[] = [];
  let bursting: Promise<void> = Promise.resolve();
  const burst = async (): Promise<void> => {
    const events = Array.from({ length: BURST }, () => ({ payload: { resultBytes: MB / 4 } }));
    const path = '/v1/namespaces/default/functions/large/events:batchCreate';
    try {
      const { status, body } = await rest.call<{ events: { id: string }[] }>('POST', path, { events });
      if (status === 202) ids.push(...body.events.map(({ id }) => id));
    } catch {
      // the API is unavailable; events that it accepted are in the list of events all the same
    }
  };
  const timer = setInterval(() => {
    bursting = burst();
  }, BURST_EVERY_MS);
  return {
    get accepted() {
      return [...steady.accepted, ...ids];
    },
    refused: steady.refused,
    broken: steady.broken,
    get lastAcceptedMs() {
      return steady.lastAcceptedMs;
    },
    async stop() {
      clearInterval(timer);
      await bursting;
      await steady.stop();
    },
  };
}
