import type { ListPutAsideRecordsRequest, ListPutAsideRecordsResponse } from '@evenfall/contracts/v1/operator_service';
import { TIMEOUTS_MS } from '../domain/timeouts.ts';
import type { Gateway } from '../ports.ts';

/** Lists records of the event log that could not be folded into the view. */
export async function listPutAside(gateway: Gateway, request: ListPutAsideRecordsRequest): Promise<ListPutAsideRecordsResponse> {
  return gateway.eventStore.listPutAsideRecords(request, { timeoutMs: TIMEOUTS_MS.read });
}
