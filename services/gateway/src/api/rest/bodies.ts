import { isUtf8 } from 'node:buffer';
import { refuse } from '@evenfall/errors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
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

/** Takes bodies of one content type as the bytes they are. */
export function takeBytes(app: FastifyInstance, contentType: string): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(contentType, { parseAs: 'buffer' }, (_request: FastifyRequest, body: Buffer, done) => done(null, body));
}
