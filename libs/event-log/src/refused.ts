import { EventRecord } from '@evenfall/contracts/log/v1/record';

/** What one record takes at most, encoded: a Kafka batch of 8 MiB has to hold it. */
export const RECORD_BYTES: number = 7 * 1024 * 1024;
/** What one write to a partition takes at most, but for a larger record: longer appends are several writes, one after the other. */
export const WRITE_BYTES: number = 4 * 1024 * 1024;

export type RefusedWhy = 'TOO_LARGE' | 'NOT_ENCODABLE' | 'REFUSED';

/**
 * The log does not take these records, now or later: another try is of no use. With several records it is not said which one is at fault; of an
 * append of several writes the first may be durable.
 */
export class RecordsRefused extends Error {
  readonly why: RefusedWhy;
  constructor(why: RefusedWhy, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'RecordsRefused';
    this.why = why;
  }
}

/** Encodes a record; throws `RecordsRefused` if that cannot be done, or it is too large. */
export function encodeRecord(record: EventRecord): Uint8Array {
  let bytes: Uint8Array;
  try {
    bytes = EventRecord.encode(record).finish();
  } catch (cause) {
    throw new RecordsRefused('NOT_ENCODABLE', `A record cannot be encoded: ${String(cause)}`, { cause });
  }
  if (bytes.length > RECORD_BYTES) {
    throw new RecordsRefused('TOO_LARGE', `A record of ${bytes.length} bytes is more than the ${RECORD_BYTES} that the event log takes`);
  }
  return bytes;
}
