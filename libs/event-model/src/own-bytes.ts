import type { EventRecord } from '@evenfall/contracts/log/v1/record';

/** Bytes from here on have an allocation of their own where they need one: smaller ones of a batch share one. */
const LARGE_BYTES = 32 * 1024;

/**
 * Copies the bytes of records that are views of something larger, so that records that are kept hold these bytes and no more. `Buffer.from` cuts small
 * buffers from pools of 64 KiB: one of 20 bytes that is kept holds all of its pool, and thousands of them held 100 MB. One allocation for all small ones
 * of the records, which are expected to be dropped together. The records stay the same objects.
 */
export function ownBytes(records: readonly EventRecord[]): void {
  let small = 0;
  let isAny = false;
  const count = (bytes: Buffer): Buffer => {
    if (!isView(bytes)) return bytes;
    isAny = true;
    if (bytes.length < LARGE_BYTES) small += bytes.length;
    return bytes;
  };
  for (const record of records) replaceBytes(record, count);
  if (!isAny) return;
  const shared = Buffer.allocUnsafeSlow(small);
  let at = 0;
  const copy = (bytes: Buffer): Buffer => {
    if (!isView(bytes)) return bytes;
    const isLarge = bytes.length >= LARGE_BYTES;
    const own = isLarge ? Buffer.allocUnsafeSlow(bytes.length) : shared.subarray(at, at + bytes.length);
    if (!isLarge) at += bytes.length;
    own.set(bytes);
    return own;
  };
  for (const record of records) replaceBytes(record, copy);
}

/** Whether bytes hold more memory than they are. */
function isView({ length, buffer }: Uint8Array): boolean {
  return length === 0 ? buffer.byteLength > 0 : buffer.byteLength >= 2 * length;
}

/** Puts what is answered for each of the bytes of a record in their place. Hot: no object for each of them. */
function replaceBytes({ change }: EventRecord, by: (bytes: Buffer) => Buffer): void {
  if (change?.$case === 'accepted') {
    change.value.payload = by(change.value.payload);
    return;
  }
  const ended = change?.$case === 'attemptEnded' ? change.value.attemptResult : undefined;
  if (!ended) return;
  ended.result = by(ended.result);
  ended.error = by(ended.error);
}
