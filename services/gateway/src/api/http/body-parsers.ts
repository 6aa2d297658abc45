import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { refuse } from '@evenfall/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify';
import { jsonFault } from '../../domain/payload.ts';

/** Takes JSON bodies, parsed. Duplicate keys are JSON's; a key named __proto__ is a key like any other and is refused as unknown. */
export function takeJson(app: FastifyInstance): void {
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

/** Bodies up to this are read on the event loop: whatever is in them takes some milliseconds at most. */
const LARGE_BYTES = 256 * 1024;

/** Whether a body is read on a thread of its own. */
export function isLarge(parts: readonly Buffer[]): boolean {
  return parts.reduce((sum, part) => sum + part.length, 0) > LARGE_BYTES;
}

/** Takes bodies of one content type as the parts they came in: to put large ones together takes time. */
export function takeParts(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, (request: FastifyRequest, payload: RequestPayload) => partsOf(request, payload));
}

/** A part in a buffer of its own, which can be handed to a thread: copied as it comes, and not all at once in the end. */
export function ownPart(chunk: Buffer): Buffer {
  return chunk.byteLength === chunk.buffer.byteLength ? chunk : Buffer.from(new Uint8Array(chunk).buffer);
}

/**
 * Has the connection stay open although the body was refused before its end, which fastify says to close: a caller that still sends would then learn of a
 * broken connection, and not why. Node drops the rest as it comes, at least as fast as a body has to.
 */
export function letRestBy(reply: FastifyReply): void {
  reply.removeHeader('connection');
}

/** Reads a body of at most as many bytes as its route takes. */
export async function partsOf(request: FastifyRequest, payload: RequestPayload): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of (payload as Readable).iterator({ destroyOnReturn: false })) {
    bytes += (chunk as Buffer).length; // no encoding is set
    if (bytes > request.routeOptions.bodyLimit) break;
    parts.push(ownPart(chunk as Buffer));
  }
  if (bytes <= request.routeOptions.bodyLimit) return parts;
  (payload as Readable).resume();
  throw Object.assign(new Error('Body too large'), TOO_LARGE);
}

/** Takes bodies of one content type as the bytes they are. */
export function takeBytes(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => done(null, body));
}

/** The same for bodies that may be large: written where they belong as they come, and not put together in the end. */
export function takeManyBytes(app: FastifyInstance, contentType: string): void {
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
      if (bytes + chunk.length > all.length) all = grown(all, Math.min(bodyLimit, Math.max(all.length * 2, bytes + chunk.length)));
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

function grown(buffer: Buffer, bytes: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(bytes);
  buffer.copy(larger);
  return larger;
}
