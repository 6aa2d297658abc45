import type { ListPutAsideRecordsResponse } from '@evenfall/contracts/v1/operator_service';
import { LIMITS_MS } from '../domain/time-limits.ts';
import type { Gateway } from '../ports.ts';

/** Lists records of the event log that could not be folded into the view. */
export async function listPutAside(gateway: Gateway): Promise<ListPutAsideRecordsResponse> {
  return gateway.eventStore.listPutAsideRecords({}, { timeoutMs: LIMITS_MS.read });
}
