import { JsonFault, parseKeeping, visible } from '@evenfall/json-text';
import { type ApiError, Failure } from './failure.ts';
import { readEventStream, type ServerSentEvent } from './event-stream.ts';

/** What a call carries beside its path. */
export type CallOptions = {
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is. */
  readonly body?: { readonly bytes: Uint8Array; readonly type: string };
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly query?: Readonly<Record<string, string | readonly string[] | undefined>>;
};

/** A client of the REST API. Refusals are thrown as a `Failure`. */
export type ApiClient = {
  readonly url: string;
  /** The answer's JSON; the caller says what it is. Payloads, results and errors of functions stay text: see `parseAnswer`. */
  call<T>(method: string, path: string, options?: CallOptions): Promise<T>;
  /** Everything of a list, page by page. */
  all<T>(path: string, field: string, query?: CallOptions['query']): Promise<T[]>;
  /** The answer's server-sent events. */
  stream(path: string, options?: CallOptions & { readonly signal?: AbortSignal }): AsyncGenerator<ServerSentEvent>;
};

export function createApiClient(url: string, accessKey: string | undefined): ApiClient {
  const base = baseOf(url);

  const send = async (method: string, path: string, options: CallOptions, signal?: AbortSignal): Promise<Response> => {
    const target = new URL(base + path);
    for (const [name, value] of Object.entries(options.query ?? {})) {
      for (const one of typeof value === 'string' ? [value] : (value ?? [])) target.searchParams.append(name, one);
    }
    const headers = new Headers({ 'evenfall-client': 'cli' }); // what a form cannot send: a call without a body needs it
    for (const [name, value] of Object.entries(options.headers ?? {})) if (value !== undefined) headers.set(name, value);
    if (accessKey) headers.set('authorization', `Bearer ${accessKey}`);
    if (options.body) headers.set('content-type', options.body.type);
    else if (options.json !== undefined) headers.set('content-type', 'application/json');
    const body = options.body?.bytes ?? (options.json === undefined ? undefined : JSON.stringify(options.json));
    const response = await fetch(target, {
      method,
      headers,
      ...(body === undefined ? {} : { body: body as NonNullable<RequestInit['body']> }), // bytes are a body; the type wants them un-shared
      ...(signal ? { signal } : {}),
    }).catch((error: unknown) => {
      throw unreachable(base, error);
    });
    if (!response.ok) throw await failureOf(response);
    return response;
  };

  const call = async <T>(method: string, path: string, options: CallOptions = {}): Promise<T> => {
    const response = await send(method, path, options);
    const text = await response.text();
    return (text === '' ? undefined : parseAnswer(text)) as T; // the documented shape of the API
  };
  return {
    url: base,
    call,
    async all<T>(path: string, field: string, query: CallOptions['query'] = {}) {
      const found: T[] = [];
      let token: string | undefined;
      do {
        const page: Record<string, unknown> = await call('GET', path, { query: { ...query, page_token: token } });
        found.push(...((page[field] ?? []) as T[])); // as documented
        token = (page['next_page_token'] as string | undefined) || undefined;
      } while (token !== undefined);
      return found;
    },
    async *stream(path, options = {}) {
      const headers = { accept: 'text/event-stream', ...options.headers };
      const response = await send('GET', path, { ...options, headers }, options.signal);
      if (response.body) yield* readEventStream(response.body);
    },
  };
}

/** Members that hold JSON of a user: it is shown as the server sent it, not as JavaScript would write it. */
const OF_USERS: ReadonlySet<string> = new Set(['payload', 'result', 'error']);

/** Parses an answer; values of `payload`, `result` and `error` are `RawJson`, or null. */
export function parseAnswer(text: string): unknown {
  try {
    return parseKeeping(text, OF_USERS);
  } catch (error) {
    if (error instanceof JsonFault) throw new Failure(`The server's answer is not JSON: ${error.message}.`);
    throw error;
  }
}

/** Whether nothing answers: the platform may be stopped, or have another address. */
function unreachable(base: string, error: unknown): unknown {
  if (error instanceof Error && error.name === 'AbortError') return error;
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  if (code === 'ECONNREFUSED') {
    return new Failure(`Nothing listens at ${base}. Start the platform with "npm start", or say where it is with EVENFALL_URL or --url.`);
  }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return new Failure(`There is no host of that name: ${base}`);
  return new Failure(`The call to ${base} failed: ${cause instanceof Error ? cause.message : String(error)}`);
}

async function failureOf(response: Response): Promise<Failure> {
  const text = await response.text();
  try {
    const { error } = JSON.parse(text) as { error?: ApiError };
    if (error?.message) return new Failure(`${visible(error.message)}${hintOf(error)}`, 1, error);
  } catch {
    // not the platform's own form: shown as it is below
  }
  return new Failure(`The server answered ${response.status}: ${visible(text.slice(0, 200))}`);
}

function hintOf(error: ApiError): string {
  if (error.status === 'UNAUTHENTICATED')
    return ' Give one with EVENFALL_ACCESS_KEY or --access-key; a platform on this machine keeps its own in the file access-key of its data folder (EVENFALL_DATA_DIR).';
  const more = error.details.slice(1).map(({ metadata }) => `\n  ${visible(metadata['field'] ?? '')}: ${visible(metadata['rule'] ?? '')}`);
  return more.join('');
}

function baseOf(url: string): string {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new Failure(`"${url}" is not an address; write it like http://127.0.0.1:8080`, 2);
  return url.replace(/\/+$/, '');
}
