import { isUtf8 } from 'node:buffer';
import { isRefusal } from '@evenfall/errors';
import { jsonFault } from '../../domain/payload.ts';
import type { Gateway } from '../../ports.ts';
import { isLarge } from '../http/body-parsers.ts';
import type { ScfCall } from './action.ts';
import { scfError } from './codes.ts';
import type { ReadBody } from './read-body.ts';

/** Texts that may be large, by their names: code in Base64, and payloads. */
const LARGE = { base64: ['ZipFile', 'Code.ZipFile'], texts: ['ClientContext', 'Event'] } as const;
export const NO_LARGE: ScfCall['large'] = new Map();

/** Reads the parameters of a JSON body; of a large body the texts that make it large are read on a thread of their own. */
export async function readParameters(
  body: ReadBody,
  { bodies }: Pick<Gateway, 'bodies'>,
): Promise<{ readonly parameters: unknown; readonly large: ScfCall['large'] }> {
  if (!isLarge(body.parts)) return { parameters: parseJson(Buffer.concat(body.parts)), large: NO_LARGE };
  try {
    const { rest, taken } = await bodies.extract(body.parts, LARGE);
    return { parameters: JSON.parse(rest) as unknown, large: taken }; // the thread has checked that it is JSON
  } catch (error) {
    if (isRefusal(error) && error.reason === 'INVALID_JSON')
      throw scfError('InvalidParameter', `The body is not valid JSON: ${error.metadata['detail'] ?? ''}.`);
    throw error;
  }
}

function parseJson(body: Buffer): unknown {
  if (body.length === 0) return {};
  if (!isUtf8(body)) throw scfError('InvalidParameter', 'The body is not UTF-8.');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw scfError('InvalidParameter', `The body is not valid JSON: ${jsonFault(error)}.`);
  }
}
