import type { Dialect } from './runtime-broker.ts';

/** What a request is for. */
export type Route =
  | { readonly kind: 'NEXT' | 'RESPONSE' | 'ERROR' | 'INIT_ERROR'; readonly dialect: Dialect; readonly requestId: string | undefined }
  | { readonly kind: 'INIT_READY' | 'PING' | 'EXTENSION_REGISTER' | 'EXTENSION_NEXT' | 'EXTENSION_ERROR' }
  | { readonly kind: 'EXTEND'; /** NaN if the request names none. */ readonly ms: number }
  | { readonly kind: 'STUB'; readonly name: 'Logs' | 'Telemetry' }
  | { readonly kind: 'NO_SUCH_METHOD' | 'NO_SUCH_PATH' };

const ROOTS: Readonly<Record<string, Dialect>> = { '/2018-06-01/runtime/': 'AWS', '/2020-11-11/runtime/': 'FC', '/runtime/': 'SCF' };

/** Paths without an id, and the method of each. */
const FIXED: Readonly<Record<string, readonly [method: string, route: Route]>> = {
  '/runtime/init/ready': ['POST', { kind: 'INIT_READY' }],
  '/2018-06-01/ping': ['GET', { kind: 'PING' }],
  '/2020-01-01/extension/register': ['POST', { kind: 'EXTENSION_REGISTER' }],
  '/2020-01-01/extension/event/next': ['GET', { kind: 'EXTENSION_NEXT' }],
  '/2020-01-01/extension/init/error': ['POST', { kind: 'EXTENSION_ERROR' }],
  '/2020-01-01/extension/exit/error': ['POST', { kind: 'EXTENSION_ERROR' }],
  '/2020-08-15/logs': ['PUT', { kind: 'STUB', name: 'Logs' }],
  '/2022-07-01/telemetry': ['PUT', { kind: 'STUB', name: 'Telemetry' }],
};

/** Reads a request line of one of the three runtime APIs: Lambda's 2018-06-01, FC's 2020-11-11 and SCF's custom runtime. */
export function routeOf(method: string, url: string): Route {
  const path = url.split('?', 1)[0] ?? '';
  const fixed = Object.hasOwn(FIXED, path) ? FIXED[path] : undefined;
  // The platform's own: a function that is being stopped requests more time.
  if (path === '/evenfall/v1/extend') return method === 'POST' ? { kind: 'EXTEND', ms: msIn(url) } : { kind: 'NO_SUCH_METHOD' };
  if (fixed) return fixed[0] === method ? fixed[1] : { kind: 'NO_SUCH_METHOD' };
  const root = Object.keys(ROOTS).find((each) => path.startsWith(each));
  const dialect = root === undefined ? undefined : ROOTS[root];
  if (root === undefined || !dialect) return { kind: 'NO_SUCH_PATH' };
  const rest = path.slice(root.length);
  const of = (wanted: string, kind: 'NEXT' | 'RESPONSE' | 'ERROR' | 'INIT_ERROR', requestId?: string): Route =>
    method === wanted ? { kind, dialect, requestId } : { kind: 'NO_SUCH_METHOD' };
  if (rest === 'invocation/next') return of('GET', 'NEXT');
  if (rest === 'init/error') return of('POST', 'INIT_ERROR');
  const named = (dialect === 'SCF' ? /^invocation\/()(response|error)$/ : /^invocation\/([^/]{1,128})\/(response|error)$/).exec(rest);
  if (!named) return { kind: 'NO_SUCH_PATH' };
  return of('POST', named[2] === 'response' ? 'RESPONSE' : 'ERROR', dialect === 'SCF' ? undefined : named[1]);
}

/** Milliseconds in the query, as in `?ms=5000`. */
function msIn(url: string): number {
  const text = new URLSearchParams(url.split('?', 2)[1] ?? '').get('ms') ?? '';
  return /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
}
