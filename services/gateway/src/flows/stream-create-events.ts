import type {
  BatchCreateEventsResponse,
  StreamCreateEventsRequest,
  StreamCreateEventsResponse,
} from '@evenfall/contracts/v1/event_service';
import { refuse } from '@evenfall/errors';
import type { Caller, Gateway } from '../ports.ts';
import { batchCreateEvents } from './batch-create-events.ts';

/** Batches under way at the same time; one more waits, and with it the caller. */
const WINDOW = 8;

/**
 * Accepts batches as they come and answers with all ids at the end. The first batch that is refused ends the stream; those before it are
 * accepted, and so may be some that were under way: a caller that must not repeat events gives them keys.
 */
export async function streamCreateEvents(
  gateway: Gateway,
  caller: Caller,
  requests: AsyncIterable<StreamCreateEventsRequest>,
): Promise<StreamCreateEventsResponse> {
  const batches: Promise<BatchCreateEventsResponse>[] = [];
  let failed = false;
  for await (const { batch } of requests) {
    if (!batch) throw refuse('INVALID_FIELD', { field: 'batch', rule: 'every message carries a batch' });
    const accepted = batchCreateEvents(gateway, caller, batch);
    accepted.catch(() => (failed = true));
    batches.push(accepted);
    if (batches.length >= WINDOW) await batches[batches.length - WINDOW];
    if (failed) break;
  }
  const answer: StreamCreateEventsResponse = { eventIds: [], refused: [] };
  for (const { eventIds, refused } of await Promise.all(batches)) {
    const before = answer.eventIds.length;
    answer.eventIds.push(...eventIds);
    answer.refused.push(...refused.map((one) => ({ ...one, index: before + one.index })));
  }
  return answer;
}
