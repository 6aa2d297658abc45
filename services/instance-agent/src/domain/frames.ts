/** Kinds of frames on file descriptor 3; `runtimes/python3/README.md` describes them. */
export const Frame = {
  LOAD: 1,
  INVOKE: 2,
  HOOK: 3,
  EXTENDED: 4,
  BECOME: 5,
  LEAVE: 6,
  HELLO: 17,
  LOADED: 18,
  LOAD_FAILED: 19,
  RESULT: 20,
  FAILURE: 21,
  HANDLERS: 22,
  HOOK_ENDED: 23,
  EXTEND: 24,
  FREE: 25,
  TAKEN: 26,
  RESULT_FREE: 27,
} as const;

/** A frame larger than this is no frame, for no runtime writes one: the function has written to the channel itself. */
export const MAX_FRAME_BYTES = 8 * 1024 * 1024;

const EMPTY: Buffer = Buffer.alloc(0);

export function encodeFrame(kind: number, body: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(5 + body.length);
  bytes.writeUInt32LE(body.length + 1, 0);
  bytes[4] = kind;
  body.copy(bytes, 5);
  return bytes;
}

/** Everything of an INVOKE frame before the event's own bytes, which follow as they are. Request ids are ASCII. */
export function encodeInvokeHead(seq: number, requestId: string, payloadBytes: number): Buffer {
  const idBytes = requestId.length;
  const bytes = Buffer.allocUnsafe(11 + idBytes);
  bytes.writeUInt32LE(7 + idBytes + payloadBytes, 0);
  bytes[4] = Frame.INVOKE;
  bytes.writeUInt32LE(seq, 5);
  bytes.writeUInt16LE(idBytes, 9);
  bytes.write(requestId, 11, 'latin1');
  return bytes;
}

/** Has a process that was started ahead become an instance: its folder, and its whole environment. It answers with another HELLO. */
export function encodeBecome(folder: string, variables: Readonly<Record<string, string>>): Buffer {
  return encodeFrame(Frame.BECOME, Buffer.from(JSON.stringify({ folder, variables })));
}

export function encodeHook(seq: number, handler: string): Buffer {
  const body = Buffer.allocUnsafe(4 + Buffer.byteLength(handler));
  body.writeUInt32LE(seq, 0);
  body.write(handler, 4);
  return encodeFrame(Frame.HOOK, body);
}

/** Answers how many of the requested milliseconds a function got. */
export function encodeExtended(id: number, grantedMs: number, reason: string): Buffer {
  const body = Buffer.allocUnsafe(8 + Buffer.byteLength(reason));
  body.writeUInt32LE(id, 0);
  body.writeUInt32LE(Math.floor(grantedMs), 4);
  body.write(reason, 8);
  return encodeFrame(Frame.EXTENDED, body);
}

/**
 * Cuts a byte stream into frames; `onFrame` gets views of what was pushed. Returns false for bytes that cannot be frames.
 * Large frames are gathered as a list and joined once.
 */
export function frameReader(onFrame: (kind: number, body: Buffer) => void): (chunk: Buffer) => boolean {
  let held: Buffer[] = [];
  let heldBytes = 0;
  let wanted = 5;
  return (chunk) => {
    heldBytes += chunk.length;
    if (heldBytes < wanted) {
      held.push(chunk);
      return true;
    }
    let bytes = chunk;
    if (held.length > 0) {
      held.push(chunk);
      bytes = Buffer.concat(held, heldBytes);
      held = [];
    }
    let at = 0;
    while (bytes.length - at >= 5) {
      const length = bytes.readUInt32LE(at);
      if (length < 1 || length > MAX_FRAME_BYTES) return false;
      const end = at + 4 + length;
      if (bytes.length < end) break;
      onFrame(bytes[at + 4] ?? 0, bytes.subarray(at + 5, end));
      at = end;
    }
    const rest = at === bytes.length ? EMPTY : bytes.subarray(at);
    heldBytes = rest.length;
    if (heldBytes > 0) held.push(rest);
    wanted = heldBytes >= 5 ? 4 + rest.readUInt32LE(0) : 5;
    return wanted <= MAX_FRAME_BYTES;
  };
}
