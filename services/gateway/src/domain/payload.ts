import { isUtf8 } from 'node:buffer';
import { refuse } from '@evenfall/errors';

const NULL = Buffer.from('null');

/** Checks that the payload is JSON text of a size that is taken; the bytes stay as they came. Empty means null. */
export function checkedPayload(payload: Buffer, maxBytes: number, isJson = false): Buffer {
  if (payload.length === 0) return NULL;
  checkSize(payload, maxBytes);
  if (isJson) return payload;
  if (!isUtf8(payload)) throw refuse('PAYLOAD_NOT_JSON', { detail: 'it is not UTF-8' });
  try {
    JSON.parse(payload.toString('utf8'));
  } catch (error) {
    throw refuse('PAYLOAD_NOT_JSON', { detail: jsonFault(error) });
  }
  return payload;
}

/** Payloads up to this are looked at on the event loop: whatever is in them takes some milliseconds at most. */
export const LARGE_PAYLOAD_BYTES = 256 * 1024;

export function checkSize(payload: Buffer, maxBytes: number): void {
  if (payload.length > maxBytes) throw refuse('PAYLOAD_TOO_LARGE', { size_bytes: payload.length, max_bytes: maxBytes });
}

/** What JSON.parse has to say, without the text it quotes: that may be long, or secret. */
export function jsonFault(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .replace(/, "[\s\S]*$/, '')
    .replace(/, \.\.\.[\s\S]*$/, '')
    .slice(0, 160);
}
