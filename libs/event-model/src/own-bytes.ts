import type { EventRecord } from '@evenfall/contracts/log/v1/record';

/** Bytes from here on have an allocation of their own where they need one: smaller ones of a batch share one. */
const LARGE_BYTES = 32 * 1024;

/** Something with bytes in it, and how to replace them. */
type Place = { readonly bytes: Uint8Array; put(bytes: Buffer): void };

/**
 * Copies the bytes of records that are views of something larger, so that records that are kept hold these bytes and no more. `Buffer.from` cuts small
 * buffers from pools of 64 KiB: one of 20 bytes that is kept holds all of its pool, and thousands of them held 100 MB. One allocation for all small ones
 * of the records, which are expected to be dropped together. The records stay the same objects.
 */
export function ownBytes(records: readonly EventRecord[]): void {
  const places: Place[] = [];
  let small = 0;
  for (const record of records) {
    for (const place of placesOf(record)) {
      const { bytes } = place;
      if (bytes.length === 0 ? bytes.buffer.byteLength === 0 : bytes.buffer.byteLength < 2 * bytes.length) continue;
      places.push(place);
      if (bytes.length < LARGE_BYTES) small += bytes.length;
    }
  }
  if (places.length === 0) return;
  const shared = Buffer.allocUnsafeSlow(small);
  let at = 0;
  for (const { bytes, put } of places) {
    const isLarge = bytes.length >= LARGE_BYTES;
    const own = isLarge ? Buffer.allocUnsafeSlow(bytes.length) : shared.subarray(at, at + bytes.length);
    own.set(bytes);
    if (!isLarge) at += bytes.length;
    put(own);
  }
}

function placesOf({ change }: EventRecord): readonly Place[] {
  if (change?.$case === 'accepted') {
    const { value } = change;
    return [{ bytes: value.payload, put: (bytes) => void (value.payload = bytes) }];
  }
  const ended = change?.$case === 'attemptConcluded' ? change.value.ended : undefined;
  if (!ended) return [];
  return [
    { bytes: ended.result, put: (bytes) => void (ended.result = bytes) },
    { bytes: ended.error, put: (bytes) => void (ended.error = bytes) },
  ];
}
