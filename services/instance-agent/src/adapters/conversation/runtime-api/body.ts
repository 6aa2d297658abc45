import type { IncomingMessage } from 'node:http';

/** What is read of a body that is too large, so that its sender can read why; after that it is cut off. */
const MAX_DRAINED_BYTES = 64 * 1024 * 1024;

export type Body = {
  readonly bytes: number;
  /** Empty if it was larger than allowed. */ readonly data: Buffer;
  readonly tooLarge: boolean;
};

/** Reads a body to its end; what is beyond the limit is counted and thrown away. Throws if its sender goes away, or never stops. */
export async function readBody(request: IncomingMessage, maxBytes: number): Promise<Body> {
  let parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes <= maxBytes) parts.push(part);
    else parts = [];
    if (bytes > MAX_DRAINED_BYTES) throw new Error(`a body has more than ${MAX_DRAINED_BYTES} bytes`);
  }
  const tooLarge = bytes > maxBytes;
  return { bytes, data: Buffer.concat(parts), tooLarge };
}
