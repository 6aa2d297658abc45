import type { ListPutAsideRecordsResponse } from '@evenfall/contracts/v1/operator_service';
import type { PutAsideTable } from '../ports.ts';

const MOST = 100;

/** Lists records that could not be folded, newest first, and counts them all. */
export async function listPutAside({ aside }: { readonly aside: PutAsideTable }): Promise<ListPutAsideRecordsResponse> {
  const [found, total] = await Promise.all([aside.newest(MOST), aside.count()]);
  const records = found.map(({ partition, offset, eventId, attempt, change, reason, isReduced, putTime, dataBytes }) => ({
    partition,
    offset: BigInt(offset),
    eventId,
    attempt,
    change,
    reason,
    reduced: isReduced,
    time: putTime,
    sizeBytes: BigInt(dataBytes),
  }));
  return { records, totalSize: BigInt(total) };
}
