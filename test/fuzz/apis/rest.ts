import { request } from 'node:http';
import { pick, type Random } from '../../support/random.ts';
import { type Attack, authorization, bytes, type Target, wholeNumber, WORDS } from './target.ts';
import { anyBody, anyNumber, anyValue } from './values.ts';

/** Who guesses keys waits; it is not waited for to the end. */
const WITHIN_MS = 3_000;
/** Who has the key is answered within this, whatever it sends; streams aside. */
const ANSWERED_WITHIN_MS = 30_000;
/** Beyond it an answer is not read on: streams have no end. */
const READ_BYTES = 256 * 1024;
const TYPES: readonly [string, ...string[]] = [
  'application/json',
  'application/json',
  'application/x-ndjson',
  'application/zip',
  'application/x-www-form-urlencoded',
  'text/event-stream',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-7',
];

/** An operation of the document with something else in every place that is free. */
export const callOperation: Attack = async (target, random, from) => {
  const { method, path } = target.operations[wholeNumber(random, target.operations.length)] ?? { method: 'GET', path: '/' };
  // Half of them are about the function that there is, but it is rarely deleted.
  const isAboutIt = random() < (method === 'DELETE' ? 0.05 : 0.5);
  const filled = path.replaceAll(/\{[^}]+\}/g, () => (isAboutIt ? 'fuzz' : encode(random, pick(random, WORDS))));
  const query = Array.from(
    { length: wholeNumber(random, 3) },
    () => `${pick(random, ['page_size', 'page_token', 'filter', 'state', 'wait', 'follow', 'x'])}=${encode(random, pick(random, WORDS))}`,
  ).join('&');
  const headers: Record<string, string> = { ...authorization(random, target), 'content-type': pick(random, TYPES) };
  if (random() < 0.2) headers['accept'] = 'text/event-stream';
  if (random() < 0.05) headers['origin'] = 'https://elsewhere.example';
  if (random() < 0.05) headers['host'] = pick(random, ['elsewhere.example', '', 'localhost:1', '[::1]']);
  if (random() < 0.1) headers['idempotency-key'] = pick(random, WORDS).replaceAll(/[^\x20-\x7e]/g, '?');
  if (random() < 0.1) headers['traceparent'] = bytes(random, 20).toString('hex');
  if (random() < 0.05) headers['content-encoding'] = 'gzip';
  const body = method === 'GET' || random() < 0.1 ? undefined : anyBody(random);
  return send(target, from, random, { method, path: query ? `${filled}?${query}` : filled, headers, body });
};

/** The function that the others are about, made again where it was deleted. */
export const deployFunction: Attack = async (target, random, from) => {
  const body = Buffer.from(
    JSON.stringify({ name: 'fuzz', runtime: 'nodejs', handler: 'index.handler', memory_mb: 128, code_zip: target.code }),
  );
  const headers = { authorization: `Bearer ${target.accessKey}`, 'content-type': 'application/json' };
  return send(target, from, random, { method: 'POST', path: '/v1/namespaces/fuzz/functions', headers, body });
};

/** A quota with numbers of every kind, of a namespace or a key that the test does not need. */
export const setQuota: Attack = async (target, random, from) => {
  const path = pick(random, [
    '/v1/namespaces/fuzz/quota',
    '/v1/namespaces/none/quota',
    '/v1/access-keys/fuzz/quota',
    '/v1/access-keys/oidc:alice/quota',
  ]);
  const limits = [
    'events_per_second',
    'burst',
    ...(path.startsWith('/v1/n') ? ['queued_events', 'functions', 'versions', 'code_bytes', 'instances'] : []),
  ];
  const body = Object.fromEntries(
    limits.filter(() => random() < 0.5).map((limit) => [limit, random() < 0.8 ? anyNumber(random) : anyValue(random)]),
  );
  const headers = { ...authorization(random, target), 'content-type': 'application/json' };
  return send(target, from, random, { method: random() < 0.2 ? 'DELETE' : 'PUT', path, headers, body: Buffer.from(JSON.stringify(body)) });
};

/** A stream of server-sent events that is left after some time, or not read. */
export const leaveStream: Attack = async (target, random, from) => {
  const path = pick(random, [
    '/v1/namespaces/fuzz/events:watch',
    `/v1/events/${pick(random, WORDS).replaceAll(/[^\x21-\x7e]/g, '')}:watch`,
    '/v1/namespaces/fuzz/functions/fuzz/logs:tail',
    '/v1/events/01900000-0000-7000-8000-000000000000:watch',
  ]);
  const headers = {
    ...authorization(random, target),
    accept: 'text/event-stream',
    'last-event-id': pick(random, ['', '-1', 'x'.repeat(500)]),
  };
  return send(target, from, random, { method: 'GET', path, headers, body: undefined });
};

/** Many lines of events, some of them none, sent in pieces; perhaps never to their end. */
export const sendLines: Attack = async (target, random, from) => {
  const lines = Array.from({ length: wholeNumber(random, 200) }, () =>
    pick(random, [
      '{"payload":1}',
      '{"payload":',
      '',
      'null',
      `{"payload":"${'y'.repeat(wholeNumber(random, 3_000))}"}`,
      '\u0000',
      '{"delay":"9999h"}',
    ]),
  );
  const headers = { ...authorization(random, target), 'content-type': 'application/x-ndjson' };
  const path = `/v1/namespaces/fuzz/functions/${pick(random, ['fuzz', 'none'])}/events:batchCreate`;
  return send(target, from, random, { method: 'POST', path, headers, body: Buffer.from(lines.join('\n')) });
};

function encode(random: Random, word: string): string {
  return random() < 0.2 ? word.replaceAll(/[^\x21-\x7e]/g, '%') : encodeURIComponent(word);
}

type Request = {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer | undefined;
};

function send(target: Target, from: string, random: Random, { method, path, headers, body }: Request): Promise<string> {
  const { hostname, port } = new URL(target.http);
  const hasRight = headers['authorization'] === `Bearer ${target.accessKey}` && headers['accept'] === undefined;
  const isCut = random() < 0.1;
  const untilMs = isCut ? wholeNumber(random, 50) : hasRight ? ANSWERED_WITHIN_MS : WITHIN_MS;
  return new Promise((resolve) => {
    const outgoing = request({
      host: hostname,
      port,
      localAddress: from,
      method,
      path,
      headers,
      agent: false,
      setHost: headers['host'] === undefined,
    });
    const late = setTimeout(
      () =>
        end(
          isCut
            ? 'left'
            : `no answer${hasRight ? ` FAULT ${method} ${path.slice(0, 200)} ${headers['content-type'] ?? ''} ${body?.length ?? 0} bytes` : ''}`,
        ),
      untilMs,
    );
    const end = (outcome: string): void => {
      clearTimeout(late);
      outgoing.destroy();
      resolve(`rest ${outcome}`);
    };
    outgoing.once('error', () => end('closed'));
    outgoing.once('response', (answer) => {
      let text = '';
      let read = 0;
      const done = (): void =>
        end(`${answer.statusCode ?? 0}${isFault(answer.statusCode) ? ` FAULT ${method} ${path} ${text.slice(0, 300)}` : ''}`);
      answer.on('data', (chunk: Buffer) => {
        read += chunk.length;
        if (text.length < 1_000) text += chunk.toString('utf8');
        if (read > READ_BYTES) done();
      });
      answer.once('end', done);
      answer.once('error', done);
      answer.once('aborted', done);
      if (answer.headers['content-type']?.startsWith('text/event-stream') === true) setTimeout(done, wholeNumber(random, 500)).unref();
    });
    outgoing.end(body);
  });
}

/** What a caller must not be able to bring about, whatever it sends. */
function isFault(status: number | undefined): boolean {
  return status === 500;
}
