import { lookup as resolve, type LookupAddress } from 'node:dns';
import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { isLoopback } from '@evenfall/config';
import type { WebhookAnswer, WebhookRequest } from '../domain/webhook.ts';
import type { WebhookSender } from '../ports.ts';
import { isPublicAddress } from './public-address.ts';

/** The most that is read of an answer. */
const ANSWER_BYTES = 1_024;
const SOCKETS = { keepAlive: true, maxSockets: 32, maxFreeSockets: 4, timeout: 15_000 } as const;

/** The address may not be called. */
class Blocked extends Error {}

/**
 * Sends requests to webhooks. The address is judged where the connection is made: what a name led to when it was set, or a moment ago, says
 * nothing. Redirects are answers like others. `allowPrivate` lets everything through, and plain HTTP to this machine.
 */
export function createWebhookSender({ allowPrivate }: { readonly allowPrivate: boolean }): WebhookSender & { close(): void } {
  const lookup = allowPrivate ? {} : { lookup: publicLookup };
  const agents = { 'http:': new HttpAgent({ ...SOCKETS, ...lookup }), 'https:': new HttpsAgent({ ...SOCKETS, ...lookup }) };
  return {
    async send({ url: text, headers, body }: WebhookRequest, signal: AbortSignal): Promise<WebhookAnswer> {
      const url = new URL(text);
      const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
      if (url.protocol !== 'https:' && !(allowPrivate && url.protocol === 'http:' && isLoopback(host)))
        return { kind: 'BLOCKED', why: 'Only "https://" is called' };
      // A literal address is never looked up.
      if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host)) return { kind: 'BLOCKED', why: `${host} is not a public address` };
      const all = { ...headers, 'content-length': String(body.length) };
      try {
        return await new Promise<WebhookAnswer>((done, failed) => {
          const options = { method: 'POST', headers: all, signal };
          const answered = (response: IncomingMessage): void => {
            // From here on there is a status: what breaks afterwards is the body alone.
            sent.off('error', failed).on('error', () => undefined);
            void answerOf(response).then(done, failed);
          };
          const sent =
            url.protocol === 'https:'
              ? httpsRequest(url, { ...options, agent: agents['https:'] }, answered)
              : httpRequest(url, { ...options, agent: agents['http:'] }, answered);
          sent.once('error', failed);
          sent.end(body);
        });
      } catch (error) {
        if (error instanceof Blocked) return { kind: 'BLOCKED', why: error.message };
        if (signal.aborted) throw new Error('It did not answer in time', { cause: error });
        throw error;
      }
    },
    close() {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** Reads a little of the body; a longer one costs the connection. One that breaks off was an answer all the same. */
async function answerOf(response: IncomingMessage): Promise<WebhookAnswer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part);
      bytes += part.length;
      if (bytes >= ANSWER_BYTES) break; // leaving the loop destroys the response
    }
  } catch {
    // the status is what counts
  }
  const text = Buffer.concat(parts).subarray(0, ANSWER_BYTES).toString('utf8');
  return { kind: 'ANSWERED', status: response.statusCode ?? 0, retryAfter: response.headers['retry-after'], text };
}

/** Looks a name up and lets only public addresses through. What it answers is what is connected to: nothing can change in between. */
const publicLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '', 0);
    const open = addresses.filter(({ address }) => isPublicAddress(address));
    const [first] = open as [LookupAddress?];
    if (!first) return callback(new Blocked(`${hostname} leads to no public address`), '', 0);
    // Node asks for all of them where it tries several.
    if (options.all) (callback as (error: null, addresses: LookupAddress[]) => void)(null, open);
    else callback(null, first.address, first.family);
  });
};
