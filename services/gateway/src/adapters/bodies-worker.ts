// Runs on a thread of its own: what is done to large bodies.
import { isUtf8 } from 'node:buffer';
import { orThrow, refuse } from '@evenfall/errors';
import { checkEnd, JsonFault, readObject, readString, skipSpace, skipValue } from '@evenfall/json-text';
import { serveTasks } from '@evenfall/worker-pool';
import { bytesOfBase64 } from '../domain/code-package.ts';
import { submissionsOf } from '../domain/batch-body.ts';

/** Bytes of a body beside what is taken out of it. */
const REST_BYTES = 256 * 1024;
const QUOTE = 0x22;
const OPEN_OBJECT = 0x7b;

/** A value that was taken out: its bytes, or undefined if it is not what it should be. */
type Taken = { readonly path: string; readonly bytes: Uint8Array | undefined };

serveTasks({
  /** Reads a batch; payloads come back as one buffer, and where each ends in it. */
  batch({ parts }: { readonly parts: readonly Uint8Array[] }) {
    const submissions = orThrow(submissionsOf(Buffer.concat(parts)));
    const size = submissions.reduce((sum, { payload }) => sum + payload.length, 0);
    const payloads = new Uint8Array(size);
    let at = 0;
    const items = submissions.map(({ payload, idempotencyKey, delay }) => {
      payloads.set(payload, at);
      at += payload.length;
      return { end: at, idempotencyKey, delay };
    });
    return { value: { payloads, items }, transfer: [payloads.buffer] };
  },

  /** Takes large texts out of a JSON object, by their paths: Base64 as what it means, others as UTF-8. Answers the rest of the JSON with empty texts there. */
  extract({
    parts,
    base64,
    texts,
  }: {
    readonly parts: readonly Uint8Array[];
    readonly base64: readonly string[];
    readonly texts: readonly string[];
  }) {
    const body = Buffer.concat(parts);
    if (!isUtf8(body)) throw refuse('INVALID_JSON', { detail: 'it is not UTF-8' });
    const taken = new Map<string, Taken>();
    const rest: Buffer[] = [];
    let restBytes = 0;
    const keep = (from: number, to: number): void => {
      restBytes += to - from;
      if (restBytes > REST_BYTES) throw refuse('REQUEST_TOO_LARGE', { max_bytes: REST_BYTES });
      rest.push(body.subarray(from, to));
    };
    const wanted = [...base64, ...texts];
    let keptTo = 0;
    const walk = (prefix: string, at: number): number =>
      readObject(body, at, (key, valueAt) => {
        const path = `${prefix}${key}`;
        if (wanted.some((one) => one.startsWith(`${path}.`)) && body[valueAt] === OPEN_OBJECT) return walk(`${path}.`, valueAt);
        const end = skipValue(body, valueAt);
        if (!wanted.includes(path) || body[valueAt] !== QUOTE) {
          if (end - keptTo > REST_BYTES) throw refuse('REQUEST_TOO_LARGE', { max_bytes: REST_BYTES });
          return end;
        }
        keep(keptTo, valueAt + 1);
        keptTo = end - 1; // its closing quote
        taken.set(path, { path, bytes: base64.includes(path) ? decoded(body, valueAt, end) : utf8Of(body, valueAt) });
        return end;
      });
    try {
      const begin = skipSpace(body, 0);
      if (body[begin] !== OPEN_OBJECT) {
        checkEnd(body, skipValue(body, begin));
        throw refuse('REQUEST_TOO_LARGE', { max_bytes: REST_BYTES });
      }
      checkEnd(body, walk('', begin));
    } catch (error) {
      if (error instanceof JsonFault) throw refuse('INVALID_JSON', { detail: error.message });
      throw error;
    }
    keep(keptTo, body.length);
    const values = [...taken.values()];
    const transfer = values.flatMap(({ bytes }) => (bytes ? [bytes.buffer as ArrayBuffer] : [])); // made here, each for itself
    return { value: { rest: Buffer.concat(rest).toString('utf8'), taken: values }, transfer };
  },

  /** Checks that bytes are JSON text; gives them back. */
  check({ bytes }: { readonly bytes: Uint8Array<ArrayBuffer> }) {
    if (!isUtf8(bytes)) throw refuse('PAYLOAD_NOT_JSON', { detail: 'it is not UTF-8' });
    try {
      checkEnd(bytes, skipValue(bytes, skipSpace(bytes, 0)));
    } catch (error) {
      if (error instanceof JsonFault) throw refuse('PAYLOAD_NOT_JSON', { detail: error.message });
      throw error;
    }
    return { value: bytes, transfer: [bytes.buffer] };
  },
});

function decoded(body: Buffer, at: number, end: number): Uint8Array | undefined {
  const text = body.subarray(at + 1, end - 1).toString('latin1');
  return owned(bytesOfBase64(text.includes('\\') ? readString(body, at).value : text));
}

function utf8Of(body: Buffer, at: number): Uint8Array | undefined {
  const { value } = readString(body, at);
  return value.isWellFormed() ? owned(Buffer.from(value)) : undefined;
}

/** Bytes in a buffer of their own, which can be handed over. */
function owned(bytes: Buffer | undefined): Uint8Array | undefined {
  return bytes && (bytes.byteLength === bytes.buffer.byteLength ? bytes : new Uint8Array(bytes));
}
