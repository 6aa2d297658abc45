import { isUtf8 } from 'node:buffer';
import { refuse } from '@evenfall/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { jsonFault } from '../../domain/payload.ts';

/** Takes JSON bodies, parsed. Duplicate keys are JSON's; a key named __proto__ is a key like any other and is refused as unknown. */
export function takeJson(app: FastifyInstance): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => {
    if (body.length === 0) return done(null, undefined);
    if (!isUtf8(body)) return done(refuse('INVALID_JSON', { detail: 'it is not UTF-8' }));
    try {
      done(null, JSON.parse(body.toString('utf8')));
    } catch (error) {
      done(refuse('INVALID_JSON', { detail: jsonFault(error) }));
    }
  });
}

/** Takes bodies of one content type as the bytes they are. */
export function takeBytes(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => done(null, body));
}
