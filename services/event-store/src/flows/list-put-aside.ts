import { type ListPutAsideRecordsRequest, type ListPutAsideRecordsResponse, PutAsideRecord } from '@evenfall/contracts/v1/operator_service';
import { refuse } from '@evenfall/errors';
import { PAGE_SIZES } from '@evenfall/function-model';
import { cutPage, pageSizeOf, pageToken, readPageToken } from '@evenfall/paging';
import type { PutAside, PutAsidePlace, PutAsideTable } from '../ports.ts';

const LIST = 'put-aside records';
/** Microseconds, partition, offset. */
const KEY = /^\d{1,17}\/\d{1,10}\/\d{1,19}$/;

/** Lists records that could not be folded, newest first, and counts them all. */
export async function listPutAside(
  { aside }: { readonly aside: PutAsideTable },
  request: ListPutAsideRecordsRequest,
): Promise<ListPutAsideRecordsResponse> {
  const size = pageSizeOf(request.pageSize, PAGE_SIZES.putAsideRecords);
  const after = placeOf(readPageToken(request.pageToken, KEY, LIST));
  // Counted first: what is counted is in the list that is read after it.
  const total = await aside.count();
  const found = await aside.newest(after, size + 1);
  const { items, last } = cutPage(
    found.map((row) => ({ row, record: recordOf(row) })),
    size,
    ({ record }) => PutAsideRecord.encode(record).finish().length,
  );
  return {
    records: items.map(({ record }) => record),
    totalSize: BigInt(total),
    nextPageToken: last ? pageToken(`${last.row.putMicros}/${last.row.partition}/${last.row.offset}`, LIST) : '',
  };
}

function placeOf(key: string): PutAsidePlace | undefined {
  if (key === '') return undefined;
  const [putMicros = 0n, partition = 0n, offset = 0n] = key.split('/').map(BigInt);
  if (partition > 0x7fffffffn || offset > 0x7fffffffffffffffn) throw refuse('INVALID_PAGE_TOKEN');
  return { putMicros, partition: Number(partition), offset };
}

function recordOf({ partition, offset, eventId, attempt, change, reason, isReduced, putTime, dataBytes }: PutAside): PutAsideRecord {
  return {
    partition,
    offset: BigInt(offset),
    eventId,
    attempt,
    change,
    reason,
    reduced: isReduced,
    time: putTime,
    sizeBytes: BigInt(dataBytes),
  };
}
