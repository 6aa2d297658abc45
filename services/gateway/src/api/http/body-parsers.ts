import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { refuse } from '@evenfall/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify';
import { jsonFault } from '../../domain/payload.ts';

/** Accepts JSON bodies, parsed. Of duplicate keys the last applies, as in JSON; a key named __proto__ is a key like any other and is refused as unknown. */
export function parseJsonBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => {
    let parsed: unknown;
    try {
      parsed = body.length === 0 ? undefined : parseBody(body);
    } catch (error) {
      done(error as Error); // parseBody throws refusals
      return;
    }
    done(null, parsed);
  });
}

/** Parses a JSON body; throws INVALID_JSON. */
export function parseBody(body: Buffer): unknown {
  if (!isUtf8(body)) throw refuse('INVALID_JSON', { detail: 'it is not UTF-8' });
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw refuse('INVALID_JSON', { detail: jsonFault(error) });
  }
}

/** Bodies up to this size are read on the event loop: that takes some milliseconds at most, whatever they hold. */
const LARGE_BYTES = 256 * 1024;

/** Whether a body is read on a thread of its own. */
export function isLarge(parts: readonly Buffer[]): boolean {
  return parts.reduce((sum, part) => sum + part.length, 0) > LARGE_BYTES;
}

/** Accepts bodies of one content type as the parts they arrived in: joining large ones takes time. */
export function keepBodyParts(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, (request: FastifyRequest, payload: RequestPayload) => receiveParts(request, payload));
}

/** A part in a buffer of its own, which can be moved to a thread: copied as it arrives, and not all at once in the end. */
export function ownBuffer(chunk: Buffer): Buffer {
  return chunk.byteLength === chunk.buffer.byteLength ? chunk : Buffer.from(new Uint8Array(chunk).buffer);
}

/**
 * Keeps the connection open although the body was refused before its end, where fastify would close it: a caller that still sends would then see a
 * broken connection, and not the reason. Node drops the rest as it arrives, at least as fast as a body has to.
 */
export function keepConnection(reply: FastifyReply): void {
  reply.removeHeader('connection');
}

/** Reads a body of at most as many bytes as its route accepts. */
export async function receiveParts(request: FastifyRequest, payload: RequestPayload): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of (payload as Readable).iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length; // no encoding is set
    if (bytes > request.routeOptions.bodyLimit) break;
    parts.push(ownBuffer(chunk as Buffer));
  }
  if (bytes <= request.routeOptions.bodyLimit) return parts;
  (payload as Readable).resume();
  throw Object.assign(new Error('Body too large'), TOO_LARGE);
}

/** Accepts bodies of one content type as the bytes they are. */
export function keepBodyBytes(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => done(null, body));
}

/** The same for bodies that may be large: each part is written to its place as it arrives, and they are not joined in the end. */
export function keepLargeBodyBytes(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, async (request: FastifyRequest, payload: RequestPayload) => {
    const { bodyLimit } = request.routeOptions;
    const isPacked = request.headers['content-encoding'] !== undefined;
    let all = Buffer.allocUnsafeSlow(
      Math.min(bodyLimit, isPacked ? FIRST_BYTES : Number(request.headers['content-length'] ?? FIRST_BYTES)),
    );
    let bytes = 0;
    let isTooLarge = false;
    for await (const chunk of (payload as Readable).iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      isTooLarge = bytes + chunk.length > bodyLimit;
      if (isTooLarge) break;
      if (bytes + chunk.length > all.length) all = enlarged(all, Math.min(bodyLimit, Math.max(all.length * 2, bytes + chunk.length)));
      bytes += chunk.copy(all, bytes);
    }
    if (isTooLarge) {
      (payload as Readable).resume(); // not within the loop: its iterator would pause it again
      throw Object.assign(new Error('Body too large'), TOO_LARGE);
    }
    return bytes === all.length ? all : all.subarray(0, bytes);
  });
}

const FIRST_BYTES = 1024 * 1024;
const TOO_LARGE = { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 } as const;

function enlarged(buffer: Buffer, bytes: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(bytes);
  buffer.copy(larger);
  return larger;
}
