import { refuse, type Refusal } from '@evenfall/errors';

/** Fields one message has at the most, those that come again and again included. */
const MAX_FIELDS = 64;
const MAX_EVENTS = 1_000;
/** Bytes of one event beside its payload: a key, a delay. */
const BESIDE_PAYLOAD_BYTES = 1_024;
/** Bytes of what says which function is meant, or what a function is. */
const BESIDE_BYTES = 256 * 1024;

const EVENT_METHODS: ReadonlyMap<string, 'batch' | 'wrapped' | 'one'> = new Map([
  ['/evenfall.v1.EventService/BatchCreateEvents', 'batch'],
  ['/evenfall.v1.EventService/StreamCreateEvents', 'wrapped'],
  ['/evenfall.v1.EventService/CreateEvent', 'one'],
]);

/**
 * Looks at a large message before it is decoded: a field of two bytes becomes an object of a hundred, so that some megabytes of them would hold the
 * event loop for seconds. Returns why it is refused, or undefined.
 */
export function shapeFault(path: string, bytes: Buffer): Refusal | undefined {
  if (bytes.length <= BESIDE_BYTES) return undefined;
  const kind = EVENT_METHODS.get(path);
  try {
    if (kind === 'wrapped') for (const part of fieldsOf(bytes, MAX_FIELDS)) checkBatch(part.bytes);
    else if (kind === 'batch') checkBatch(bytes);
    else if (kind === 'one') for (const part of fieldsOf(bytes, MAX_FIELDS)) checkEvent(part.bytes);
    else checkOther(bytes);
    return undefined;
  } catch (error) {
    if (error instanceof ShapeFault) return refuse('INVALID_REQUEST', { detail: error.message });
    throw error;
  }
}

class ShapeFault extends Error {}

function checkBatch(bytes: Buffer): void {
  let beside = 0;
  for (const { bytes: part } of fieldsOf(bytes, MAX_EVENTS + MAX_FIELDS)) {
    if (part.length > BESIDE_PAYLOAD_BYTES) checkEvent(part);
    else beside += part.length;
  }
  if (beside > (MAX_EVENTS + MAX_FIELDS) * BESIDE_PAYLOAD_BYTES) throw new ShapeFault('it has too many parts');
}

/** An event is one large text, its payload, and little beside. */
function checkEvent(bytes: Buffer): void {
  if (bytes.length <= BESIDE_PAYLOAD_BYTES) return;
  let largest = 0;
  for (const { number, bytes: part } of fieldsOf(bytes, MAX_FIELDS)) if (number === PAYLOAD) largest = Math.max(largest, part.length);
  if (bytes.length - largest > BESIDE_PAYLOAD_BYTES + MAX_FIELDS * 8) throw new ShapeFault('an event has too much beside its payload');
}

/** Of all others one field may be large: code, or the payload of a call. */
function checkOther(bytes: Buffer): void {
  let largest = 0;
  for (const { bytes: part } of fieldsOf(bytes, MAX_FIELDS)) largest = Math.max(largest, part.length);
  if (bytes.length - largest > BESIDE_BYTES) throw new ShapeFault('it has too many parts');
}

/** `EventSubmission.payload`. */
const PAYLOAD = 1;

/** The fields of a message by the wire format of protocol buffers, without reading into them. */
function* fieldsOf(bytes: Buffer, most: number): Generator<{ readonly number: number; readonly bytes: Buffer }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw new ShapeFault('it is cut off');
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new ShapeFault('a number in it is too long');
  };
  for (let count = 0; at < bytes.length; count++) {
    if (count >= most) throw new ShapeFault('it has too many parts');
    const tag = varint();
    const begin = at;
    let end = begin;
    switch (tag % 8) {
      case 0:
        varint();
        end = at;
        break;
      case 1:
        end = begin + 8;
        break;
      case 5:
        end = begin + 4;
        break;
      case 2: {
        const length = varint();
        yield { number: Math.floor(tag / 8), bytes: bytes.subarray(at, at + length) };
        end = at + length;
        break;
      }
      default:
        throw new ShapeFault('it has a group in it');
    }
    if (end > bytes.length) throw new ShapeFault('it is cut off');
    at = end;
  }
}
