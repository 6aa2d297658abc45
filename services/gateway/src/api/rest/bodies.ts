import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { refuse } from '@evenfall/errors';
import type { FastifyInstance, FastifyRequest, RequestPayload } from 'fastify';
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

/** Reads a body of at most as many bytes as its route takes. */
export async function partsOf(request: FastifyRequest, payload: RequestPayload): Promise<Buffer[]> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of payload as Readable) {
    bytes += (chunk as Buffer).length; // no encoding is set
    if (bytes > request.routeOptions.bodyLimit) break;
    parts.push(chunk as Buffer);
  }
  if (bytes <= request.routeOptions.bodyLimit) return parts;
  throw Object.assign(new Error('Body too large'), { code: 'FST_ERR_CTP_BODY_TOO_LARGE', statusCode: 413 });
}

/** Takes bodies of one content type as the bytes they are. */
export function takeBytes(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => done(null, body));
}
