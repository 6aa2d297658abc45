import { createGunzip, type Gunzip } from 'node:zlib';
import { refuse, type Refusal } from '@evenfall/errors';
import { sendContinue } from './unread-body.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify';

/** A body that is being unpacked: fastify compares Content-Length with what was received before it was. */
type Unpacked = Gunzip & { receivedEncodedLength: number };

/** The error of fastify for a body that is too large, before it is read. */
class BodyTooLarge extends Error {
  readonly code = 'FST_ERR_CTP_BODY_TOO_LARGE';
  readonly statusCode = 413;
}

/** JSON is UTF-8 (RFC 8259 §8.1): a body that names another charset is refused. ASCII is a part of UTF-8. */
function isUtf8Type(type: string | undefined): boolean {
  if (type === undefined || !type.includes(';')) return true;
  const charsets = [...type.matchAll(/;\s*charset\s*=\s*"?([^";\s]*)"?/gi)].map(([, charset]) => charset?.toLowerCase());
  return charsets.every((charset) => charset === 'utf-8' || charset === 'utf8' || charset === 'us-ascii');
}

function unsupportedType(request: FastifyRequest): Refusal {
  return refuse('UNSUPPORTED_MEDIA_TYPE', {
    content_type: (request.headers['content-type'] ?? '').slice(0, 80),
    expected: 'application/json in UTF-8',
  });
}

/** Decodes bodies in gzip; size limits apply to what comes out, while it comes. Any other encoding is refused. */
export function decodeBodies(app: FastifyInstance): void {
  // With a callback: it is on the path of every event, and has nothing to wait for.
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (!request.routeOptions.config.signed && !isUtf8Type(request.headers['content-type'])) return done(unsupportedType(request));
    if (!request.routeOptions.config.signed) {
      const isStream = request.headers['content-type']?.startsWith('application/x-ndjson') === true; // read as it comes, whatever its length
      if (!isStream && Number(request.headers['content-length'] ?? 0) > request.routeOptions.bodyLimit) return done(new BodyTooLarge());
      sendContinue(request.raw, reply.raw);
    }
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? '';
    if (encoding === '' || encoding === 'identity') done(null, payload);
    else if (request.routeOptions.config.signed || (encoding !== 'gzip' && encoding !== 'x-gzip'))
      done(unsupported(request, reply, encoding));
    else done(null, unpacked(payload, reply));
  });
}

function unsupported(request: FastifyRequest, reply: FastifyReply, encoding: string): Refusal {
  const accepted = request.routeOptions.config.signed ? 'identity' : 'gzip';
  reply.header('accept-encoding', accepted); // RFC 9110 §12.5.3: what would have been accepted
  return refuse('UNSUPPORTED_ENCODING', { encoding: encoding.slice(0, 80), expected: accepted });
}

function unpacked(payload: RequestPayload, reply: FastifyReply): RequestPayload {
  const gunzip = Object.assign(createGunzip(), { receivedEncodedLength: 0 }) satisfies Unpacked;
  gunzip.on('error', () => undefined); // the reader of the body has a listener of its own while it reads
  payload.on('data', (chunk: Buffer) => (gunzip.receivedEncodedLength += chunk.length));
  payload.on('error', (error) => gunzip.destroy(error));
  payload.pipe(gunzip);
  reply.raw.once('close', () => gunzip.destroy());
  reply.raw.once('finish', () => {
    // A body that was too large is answered before its end; the rest of it is dropped, and not decoded.
    payload.unpipe(gunzip);
    payload.resume();
    gunzip.destroy();
  });
  return gunzip;
}
