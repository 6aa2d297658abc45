import { isUtf8 } from 'node:buffer';
import { refuse, type Refusal } from '@evenfall/errors';

const NULL = Buffer.from('null');

/** The payload as it is accepted: the same bytes, or null for none. Refusals: PAYLOAD_TOO_LARGE, PAYLOAD_NOT_JSON. */
export function acceptedPayload(payload: Buffer, maxBytes: number, isJson = false): Buffer | Refusal {
  if (payload.length === 0) return NULL;
  return sizeRefusal(payload, maxBytes) ?? (isJson ? undefined : notJson(payload)) ?? payload;
}

/** Payloads up to this size are checked on the event loop: that takes some milliseconds at most, whatever they hold. */
export const LARGE_PAYLOAD_BYTES = 256 * 1024;

export function sizeRefusal(payload: Buffer, maxBytes: number): Refusal | undefined {
  return payload.length > maxBytes ? refuse('PAYLOAD_TOO_LARGE', { size_bytes: payload.length, max_bytes: maxBytes }) : undefined;
}

function notJson(payload: Buffer): Refusal | undefined {
  if (!isUtf8(payload)) return refuse('PAYLOAD_NOT_JSON', { detail: 'it is not UTF-8' });
  try {
    JSON.parse(payload.toString('utf8'));
    return undefined;
  } catch (error) {
    return refuse('PAYLOAD_NOT_JSON', { detail: jsonFault(error) });
  }
}

/** The fault that JSON.parse names, without the text it quotes: that may be long, or secret. */
export function jsonFault(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message
    .replace(/, "[\s\S]*$/, '')
    .replace(/, \.\.\.[\s\S]*$/, '')
    .slice(0, 160);
}
