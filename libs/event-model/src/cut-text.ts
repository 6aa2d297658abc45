const encoder = new TextEncoder();
/** A code unit takes at most three bytes of UTF-8: two make a pair of four. */
const MOST_BYTES_PER_UNIT = 3;

/**
 * Cuts a text to so many bytes of UTF-8, its mark included: "… [cut from 8388608 bytes]". A text that fits is returned as it is, at no cost when
 * it is short. No character is cut in half. `maxBytes` is at least 64, so that the mark fits.
 */
export function cutText(text: string, maxBytes: number): string {
  const bytes = excessBytes(text, maxBytes);
  if (bytes === undefined) return text;
  const mark = markOf(bytes);
  return text.slice(0, unitsOf(text, maxBytes - Buffer.byteLength(mark))) + mark;
}

/**
 * Cuts the middle out of a text, like {@link cutText}: a Python traceback says last what happened, a JavaScript one first.
 */
export function cutMiddle(text: string, maxBytes: number): string {
  const bytes = excessBytes(text, maxBytes);
  if (bytes === undefined) return text;
  const mark = `${markOf(bytes)} … `;
  const room = maxBytes - Buffer.byteLength(mark);
  const head = text.slice(0, unitsOf(text, Math.ceil(room / 2)));
  return head + mark + endOf(text, Math.floor(room / 2));
}

/** Whether a text has so many bytes of UTF-8 at most; costs nothing when it is short. */
export function fits(text: string, maxBytes: number): boolean {
  return excessBytes(text, maxBytes) === undefined;
}

/** Cuts UTF-8 bytes without a mark, so that no character is cut in half; bytes that fit are returned as they are. */
export function cutBytes(bytes: Buffer, maxBytes: number): Buffer {
  if (bytes.length <= maxBytes) return bytes;
  let end = maxBytes;
  while (end > 0 && isContinuation(bytes[end])) end -= 1;
  return bytes.subarray(0, end);
}

function markOf(bytes: number): string {
  return `… [cut from ${bytes} bytes]`;
}

/** Bytes of a text that is too long; undefined for one that fits. */
function excessBytes(text: string, maxBytes: number): number | undefined {
  if (text.length * MOST_BYTES_PER_UNIT <= maxBytes) return undefined;
  const bytes = Buffer.byteLength(text);
  return bytes <= maxBytes ? undefined : bytes;
}

/** How many code units of a text fit into so many bytes; only whole characters. */
function unitsOf(text: string, maxBytes: number): number {
  return encoder.encodeInto(text.slice(0, maxBytes), new Uint8Array(maxBytes)).read;
}

/** The end of a text, in whole characters. */
function endOf(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text.slice(-maxBytes)); // half a pair at its begin becomes U+FFFD of three bytes, as it may
  let start = Math.max(0, bytes.length - maxBytes);
  while (start < bytes.length && isContinuation(bytes[start])) start += 1;
  return bytes.toString('utf8', start);
}

/** Whether a byte continues a character of UTF-8. */
function isContinuation(byte: number | undefined): boolean {
  return byte !== undefined && (byte & 0xc0) === 0x80;
}
