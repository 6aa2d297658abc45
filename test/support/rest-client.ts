import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type AnswerCheck, createAnswerCheck, eventually } from '@evenfall/testkit';
import type { EventAnswer, LogLineAnswer } from '../../tools/cli/src/answers.ts';
import { readEventStream } from '../../tools/cli/src/event-stream.ts';
import { zipOf } from './zip.ts';

/** An answer of the REST API. */
export type Answer<T = unknown> = { readonly status: number; readonly headers: Headers; readonly body: T };
export type ErrorAnswer = {
  readonly error: {
    readonly code: number;
    readonly status: string;
    readonly message: string;
    readonly details: readonly { readonly reason: string; readonly domain: string; readonly metadata: Record<string, string> }[];
  };
};
export type CallOptions = { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal };
export type FunctionSpec = Readonly<Record<string, unknown>> & { readonly name: string };
export type { EventAnswer, LogLineAnswer };

/** One server-sent event. */
export type Sent = { readonly id: string | undefined; readonly event: string; readonly data: unknown };

export type RestClient = {
  /** Calls; a body that is neither text nor bytes is sent as JSON. */
  call<T = unknown>(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer<T>>;
  /** Creates a function of the default namespace from files. */
  deploy(fn: FunctionSpec, files: Readonly<Record<string, string | Buffer>>): Promise<void>;
  /** Creates one of examples/functions, with settings changed, perhaps. */
  deployExample(
    example: string,
    changes?: Readonly<Record<string, unknown>>,
    moreFiles?: Readonly<Record<string, string | Buffer>>,
  ): Promise<string>;
  /** Hands an event over; answers it as accepted. */
  send(fn: string, payload: unknown, options?: CallOptions): Promise<EventAnswer>;
  /** Hands up to 1,000 over; answers the ids. */
  sendBatch(fn: string, events: readonly object[]): Promise<string[]>;
  get(id: string): Promise<EventAnswer>;
  /** Waits for a state. */
  reaches(id: string, state: string, withinMs?: number): Promise<EventAnswer>;
  /** Waits for the end. */
  ended(id: string, withinMs?: number): Promise<EventAnswer>;
  terminate(id: string, body?: object): Promise<Answer<EventAnswer & ErrorAnswer>>;
  logs(id: string): Promise<LogLineAnswer[]>;
  /** Every event of a function, page by page. */
  list(fn: string, query?: string, pageSize?: number): Promise<EventAnswer[]>;
  /** Reads server-sent events until the stream ends. */
  stream(path: string, options?: CallOptions): AsyncGenerator<Sent>;
};

const FINAL = new Set(['SUCCEEDED', 'FAILED', 'TERMINATED', 'EXPIRED']);
/** Whether nothing more happens to it. */
export function isFinal({ state }: EventAnswer): boolean {
  return FINAL.has(state);
}

const FUNCTIONS = '/v1/namespaces/default/functions';
const EXAMPLES = new URL('../../examples/functions/', import.meta.url);

let check: AnswerCheck | undefined;

/**
 * Every answer that a test receives is as the OpenAPI document describes it. The document is the same of every gateway of this release: it is read once, by the
 * first client whose key is valid; undefined before that.
 */
async function answerCheck(url: string, headers: Readonly<Record<string, string>>): Promise<AnswerCheck | undefined> {
  if (check) return check;
  const response = await fetch(`${url}/openapi.json`, { headers });
  const document: unknown = await response.json();
  return response.ok ? (check = createAnswerCheck(document)) : undefined;
}

const SENT_SCHEMAS: ReadonlyMap<string, string> = new Map([
  ['change', 'Event'],
  ['line', 'LogLine'],
  ['error', 'Error'],
]);

function checkedItem(sent: Sent, answers: AnswerCheck | undefined): Sent {
  const schema = SENT_SCHEMAS.get(sent.event);
  if (schema !== undefined) answers?.checkNamed(schema, sent.data);
  return sent;
}

export function createRestClient(url: string, headers: Readonly<Record<string, string>> = {}): RestClient {
  const call: RestClient['call'] = async <T>(method: string, path: string, body?: unknown, options: CallOptions = {}) => {
    const raw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        'evenfall-client': 'test',
        ...headers,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body: raw ? body : JSON.stringify(body) }),
      ...(options.signal ? { signal: options.signal } : {}),
    });
    const text = await response.text();
    if (path.startsWith('/v1/')) {
      const contentType = response.headers.get('content-type') ?? '';
      (await answerCheck(url, headers))?.check({ method, path, status: response.status, contentType, text });
    }
    return { status: response.status, headers: response.headers, body: (text === '' ? undefined : JSON.parse(text)) as T };
  };
  const good = async <T>(status: number, ...args: Parameters<RestClient['call']>): Promise<T> => {
    const answer = await call<T>(...args);
    assert.equal(answer.status, status, `${args[0]} ${args[1]}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  };
  const get = (id: string): Promise<EventAnswer> => good<EventAnswer>(200, 'GET', `/v1/events/${id}`);
  const client: RestClient = {
    call,
    async deploy(fn, files) {
      const code = await zipOf(files);
      await good(201, 'POST', FUNCTIONS, { memory_mb: 128, ...fn, code_zip: code.toString('base64') });
    },
    async deployExample(example, changes = {}, moreFiles = {}) {
      const dir = fileURLToPath(new URL(`${example}/`, EXAMPLES));
      const names = readdirSync(dir);
      const text = (name: string): string => readFileSync(`${dir}${name}`, 'utf8');
      const fn = { ...(JSON.parse(text('function.json')) as FunctionSpec), ...changes };
      const code = names.filter((name) => name !== 'function.json');
      await client.deploy(fn, { ...Object.fromEntries(code.map((name) => [name, text(name)])), ...moreFiles });
      return fn.name;
    },
    send: (fn, payload, options) => good<EventAnswer>(202, 'POST', `${FUNCTIONS}/${fn}/events`, JSON.stringify(payload), options),
    async sendBatch(fn, events) {
      const { events: made } = await good<{ events: { id: string }[] }>(202, 'POST', `${FUNCTIONS}/${fn}/events:batchCreate`, { events });
      return made.map(({ id }) => id);
    },
    get,
    reaches: (id, state, withinMs = 15_000) =>
      eventually(async () => {
        const event = await get(id);
        if (event.state === state) return event;
        throw new Error(`${id} is ${event.state} ${event.status_code} ${JSON.stringify(event.error)}`);
      }, withinMs),
    ended: (id, withinMs = 15_000) =>
      eventually(async () => {
        const event = await get(id);
        if (isFinal(event)) return event;
        throw new Error(`${id} is ${event.state}`);
      }, withinMs),
    terminate: (id, body = {}) => call('POST', `/v1/events/${id}:terminate`, body),
    async logs(id) {
      return (await good<{ lines: LogLineAnswer[] }>(200, 'GET', `/v1/events/${id}/logs`)).lines;
    },
    async list(fn, query = '', pageSize = 100) {
      const events: EventAnswer[] = [];
      let token = '';
      do {
        const path = `${FUNCTIONS}/${fn}/events?page_size=${pageSize}&${query}${token ? `&page_token=${encodeURIComponent(token)}` : ''}`;
        const page = await good<{ events: EventAnswer[]; next_page_token: string }>(200, 'GET', path);
        events.push(...page.events);
        token = page.next_page_token;
      } while (token !== '');
      return events;
    },
    async *stream(path, options = {}) {
      const response = await fetch(`${url}${path}`, {
        headers: { ...headers, ...options.headers },
        ...(options.signal ? { signal: options.signal } : {}),
      });
      if (response.status === 204) return;
      assert.equal(response.status, 200, path);
      for await (const sent of readEventStream(response.body as unknown as AsyncIterable<Uint8Array>))
        // what fetch's body is in Node
        yield checkedItem({ ...sent, data: JSON.parse(sent.data) as unknown }, await answerCheck(url, headers));
    },
  };
  return client;
}
