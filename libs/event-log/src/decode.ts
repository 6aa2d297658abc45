import { EventRecord, RecordBatch } from '@evenfall/contracts/log/v1/record';
import { ownBytes } from '@evenfall/event-model';
import type { LogBatch, Unreadable } from './port.ts';

/** Replaces a record that cannot be decoded: about no event, and changes nothing. */
export const UNREADABLE_RECORD: EventRecord = { eventId: '', attempt: 0, time: undefined, writerId: '', change: undefined };

/** Field 1 of a RecordBatch, with a length. */
const RECORDS_TAG = 0x0a;

/** Decodes records that are stored one by one; one that cannot be decoded is handed on as it is, beside the others. */
export function decodeRecords(partition: number, firstOffset: number, values: readonly Uint8Array[]): LogBatch {
  const unreadable: Unreadable[] = [];
  const records = values.map((bytes, i) => {
    try {
      const record = EventRecord.decode(bytes);
      if (!isEmpty(record)) return record;
      unreadable.push({ offset: firstOffset + i, bytes, error: 'it names neither an event nor a change' });
      return UNREADABLE_RECORD;
    } catch (error) {
      unreadable.push({ offset: firstOffset + i, bytes, error: String(error) });
      return UNREADABLE_RECORD;
    }
  });
  ownBytes(records);
  return unreadable.length === 0 ? { partition, firstOffset, records } : { partition, firstOffset, records, unreadable };
}

/** Every writer names an event, a change or both: bytes that say neither, such as zeros, are damaged, although they decode. */
function isEmpty({ eventId, change }: EventRecord): boolean {
  return eventId === '' && change === undefined;
}

/**
 * Decodes a stored batch of so many records, all at once if it can be, else one by one. Where its frame is broken, the first record behind that place has
 * all the bytes that are left, and the others have none: where each of them began is lost.
 */
export function decodeBatch(partition: number, firstOffset: number, count: number, data: Uint8Array): LogBatch {
  try {
    const { records } = RecordBatch.decode(data);
    if (records.length === count && !records.some(isEmpty)) {
      ownBytes(records);
      return { partition, firstOffset, records };
    }
  } catch {
    // found out below, record by record
  }
  const { parts, end } = split(data, count);
  const batch = decodeRecords(partition, firstOffset, parts);
  if (parts.length === count) return batch;
  const brokenAt = firstOffset + parts.length;
  const lost = Array.from({ length: count - parts.length }, (_, i): Unreadable => {
    if (i > 0)
      return {
        offset: brokenAt + i,
        bytes: NOTHING,
        error: `the frame of its batch is broken; its bytes are with those of offset ${brokenAt}`,
      };
    return { offset: brokenAt, bytes: data.subarray(end), error: `the frame of its batch is broken at byte ${end} of ${data.length}` };
  });
  return {
    partition,
    firstOffset,
    records: [...batch.records, ...lost.map(() => UNREADABLE_RECORD)],
    unreadable: [...(batch.unreadable ?? []), ...lost],
  };
}

const NOTHING = new Uint8Array();

/** The first records of a batch as bytes, as far as its frame can be read, and where the last of them ends. */
function split(data: Uint8Array, count: number): { readonly parts: readonly Uint8Array[]; readonly end: number } {
  const parts: Uint8Array[] = [];
  let end = 0;
  for (let at = 0; parts.length < count && data[at] === RECORDS_TAG; end = at) {
    let length = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = data[++at] ?? 0;
      length += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte >= 0x80 && shift < 35);
    at++;
    if (byte >= 0x80 || at + length > data.length) break;
    parts.push(data.subarray(at, at + length));
    at += length;
  }
  return { parts, end };
}

/** A batch from one of its records on. */
export function from(batch: LogBatch, offset: number): LogBatch {
  const skip = offset - batch.firstOffset;
  return skip <= 0 ? batch : partOf(batch, skip, batch.records.length);
}

/** The records of a batch from an index on, before another one, with all that is said of them. */
export function partOf(batch: LogBatch, start: number, end: number): LogBatch {
  const { unreadable: all, appendTimesMs: times, ...rest } = batch;
  const firstOffset = batch.firstOffset + start;
  const unreadable = all?.filter(({ offset }) => offset >= firstOffset && offset < batch.firstOffset + end) ?? [];
  return {
    ...rest,
    firstOffset,
    records: batch.records.slice(start, end),
    ...(times === undefined ? {} : { appendTimesMs: typeof times === 'object' ? times.slice(start, end) : times }),
    ...(unreadable.length === 0 ? {} : { unreadable }),
  };
}
