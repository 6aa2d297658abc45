import { refuse, type Refusal } from '@evenfall/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';

/** The methods of every path, for requests that have no route. */
export type Routing = {
  /** Methods of a path, for `Allow`; empty for an unknown path. */
  allowed(url: string): readonly string[];
};

/** Notes every route that is added from now on. */
export function noteRoutes(app: FastifyInstance): Routing {
  const routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = [];
  app.addHook('onRoute', ({ url, method }) => void routes.push({ path: patternOf(url), methods: [method].flat() }));
  return {
    allowed(url) {
      const path = url.split('?', 1)[0] ?? '';
      const methods = new Set(routes.filter((route) => route.path.test(path)).flatMap((route) => route.methods));
      return methods.size === 0 ? [] : [...methods, 'OPTIONS'].sort();
    },
  };
}

/** A path of the router as an expression: `:name`, `:name(expression)`, `::` for a colon, and `*` for the rest. */
function patternOf(url: string): RegExp {
  const source = url.replace(/::|:\w+(\([^)]*\))?|\*|[.+?^${}()|[\]\\]/g, (part, expression?: string) => {
    if (part === '::') return ':';
    if (part === '*') return '.*';
    return part.startsWith(':') ? (expression ?? '([^/]+)') : `\\${part}`;
  });
  return new RegExp(`^${source}$`);
}

/** Answers OPTIONS of a known path with 204; undefined for any other request. */
export function optionsAnswer(request: FastifyRequest, reply: FastifyReply, routing: Routing): FastifyReply | undefined {
  const allowed = request.method === 'OPTIONS' ? routing.allowed(request.url) : [];
  return allowed.length === 0 ? undefined : reply.code(204).header('allow', allowed.join(', ')).send();
}

/** Why a request has no route: the path is unknown, or it does not accept the method (405, with `Allow`). */
export function unrouted(request: FastifyRequest, reply: FastifyReply, routing: Routing): Refusal {
  const path = (request.url.split('?', 1)[0] ?? '').slice(0, 200);
  const allowed = routing.allowed(request.url);
  // A method that is among them did not find the route: the router looks at a path once it is decoded.
  if (allowed.length === 0 || allowed.includes(request.method)) return refuse('UNKNOWN_PATH', { method: request.method, path });
  reply.header('allow', allowed.join(', '));
  return refuse('METHOD_NOT_ALLOWED', { method: request.method, path, allow: allowed.join(', ') });
}
