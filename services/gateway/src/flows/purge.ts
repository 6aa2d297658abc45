import type { PurgeRequest, PurgeResponse } from '@evenfall/contracts/v1/operator_service';
import { orThrow } from '@evenfall/errors';
import { timeRefusal } from '../domain/fields.ts';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/** Drops what is past the retention, or shows what would be dropped. */
export async function purge(gateway: Gateway, request: PurgeRequest): Promise<PurgeResponse> {
  orThrow(timeRefusal('time', request.time));
  return gateway.eventStore.purge(request, { timeoutMs: TIMEOUTS_MS.purge });
}
