import type { PurgeRequest, PurgeResponse } from '@evenfall/contracts/v1/operator_service';
import { checkTime } from '../domain/fields.ts';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Gateway } from '../ports.ts';

/** Drops what is past the retention, or shows what would be dropped. */
export async function purge(gateway: Gateway, request: PurgeRequest): Promise<PurgeResponse> {
  checkTime('time', request.time);
  return gateway.eventStore.purge(request, { timeoutMs: LIMITS_MS.purge });
}
