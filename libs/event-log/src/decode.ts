import { EventRecord, RecordBatch } from '@evenfall/contracts/log/v1/record';
import type { LogBatch, Unreadable } from './port.ts';

/** Stands where a record lies that cannot be decoded: about no event, and changes nothing. */
export const UNREADABLE_RECORD: EventRecord = { eventId: '', attempt: 0, time: undefined, writerId: '', change: undefined };

/** Field 1 of a RecordBatch, with a length. */
const RECORDS_TAG = 0x0a;

/** Decodes records that are stored one by one; one that cannot be decoded is handed on as it is, beside the others. */
export function decodeRecords(partition: number, firstOffset: number, values: readonly Uint8Array[]): LogBatch {
  const unreadable: Unreadable[] = [];
  const records = values.map((bytes, i) => {
    try {
      return EventRecord.decode(bytes);
    } catch (error) {
      unreadable.push({ offset: firstOffset + i, bytes, error: String(error) });
      return UNREADABLE_RECORD;
    }
  });
  return unreadable.length === 0 ? { partition, firstOffset, records } : { partition, firstOffset, records, unreadable };
}

/** Decodes a stored batch of so many records, all at once if it can be, else one by one. */
export function decodeBatch(partition: number, firstOffset: number, count: number, data: Uint8Array): LogBatch {
  try {
    const { records } = RecordBatch.decode(data);
    if (records.length === count) return { partition, firstOffset, records };
  } catch {
    // found out below, record by record
  }
  const parts = split(data);
  const values = Array.from({ length: count }, (_, i) => parts[i] ?? BROKEN);
  return decodeRecords(partition, firstOffset, values);
}

/** No message begins so: for the records of a batch whose own bytes are broken. */
const BROKEN = Uint8Array.of(0xff);

/** The records of a batch as bytes, as far as its frame can be read. */
function split(data: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let at = 0;
  while (at < data.length && data[at] === RECORDS_TAG) {
    let length = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = data[++at] ?? 0;
      length += (byte & 0x7f) * 2 ** shift;
      shift += 7;
    } while (byte >= 0x80 && shift < 35);
    at++;
    if (at + length > data.length) break;
    parts.push(data.subarray(at, at + length));
    at += length;
  }
  return parts;
}

/** A batch from one of its records on. */
export function from(batch: LogBatch, offset: number): LogBatch {
  const skip = offset - batch.firstOffset;
  if (skip <= 0) return batch;
  const { partition, records, appendTimesMs: times } = batch;
  const rest = { partition, firstOffset: offset, records: records.slice(skip), ...(times ? { appendTimesMs: times.slice(skip) } : {}) };
  const unreadable = batch.unreadable?.filter((one) => one.offset >= offset) ?? [];
  return unreadable.length === 0 ? rest : { ...rest, unreadable };
}
