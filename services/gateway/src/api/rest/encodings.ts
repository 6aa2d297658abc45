import { createGunzip, type Gunzip } from 'node:zlib';
import { refuse, type Refusal } from '@evenfall/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest, RequestPayload } from 'fastify';

/** A body that is being unpacked: fastify compares Content-Length with what was received before it was. */
type Unpacked = Gunzip & { receivedEncodedLength: number };

/** Unpacks bodies in gzip; size limits hold for what comes out, while it comes. Any other encoding is refused by its name. */
export function takeEncodings(app: FastifyInstance): void {
  // With a callback: it is on the path of every accept, and has nothing to wait for.
  app.addHook('preParsing', (request, reply, payload, done) => {
    const encoding = request.headers['content-encoding']?.trim().toLowerCase() ?? '';
    if (encoding === '' || encoding === 'identity') done(null, payload);
    else if (request.routeOptions.config.signed || (encoding !== 'gzip' && encoding !== 'x-gzip'))
      done(unsupported(request, reply, encoding));
    else done(null, unpacked(payload, reply));
  });
}

function unsupported(request: FastifyRequest, reply: FastifyReply, encoding: string): Refusal {
  const taken = request.routeOptions.config.signed ? 'identity' : 'gzip';
  reply.header('accept-encoding', taken); // RFC 9110 §12.5.3: what would have been taken
  return refuse('UNSUPPORTED_ENCODING', { encoding: encoding.slice(0, 80), expected: taken });
}

function unpacked(payload: RequestPayload, reply: FastifyReply): RequestPayload {
  const gunzip = Object.assign(createGunzip(), { receivedEncodedLength: 0 }) satisfies Unpacked;
  gunzip.on('error', () => undefined); // the reader of the body has a listener of its own while it reads
  payload.on('data', (chunk: Buffer) => (gunzip.receivedEncodedLength += chunk.length));
  payload.on('error', (error) => gunzip.destroy(error));
  payload.pipe(gunzip);
  reply.raw.once('close', () => gunzip.destroy());
  reply.raw.once('finish', () => {
    // A body that was too large is answered before its end; the rest of it is let go by, and not unpacked.
    payload.unpipe(gunzip);
    payload.resume();
    gunzip.destroy();
  });
  return gunzip;
}
