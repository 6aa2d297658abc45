import swaggerUi from '@fastify/swagger-ui';
import type { Refusal } from '@evenfall/errors';
import { type Guard, PAGE_HEADERS, type RequestHead, SECURITY_HEADERS } from '@evenfall/request-guard';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Access } from '@evenfall/access';
import type { AuditTrail, Gateway } from '../../ports.ts';
import type { Authenticator } from '../access.ts';
import type { Strangers } from '../unauthenticated-callers.ts';
import { refusesGet, type ScfOptions, scfRoute, sendScfRefusal } from '../scf/route.ts';
import './request-fields.ts';
import { letRestBy, takeJson } from './body-parsers.ts';
import { takeEncodings } from './encodings.ts';
import { ARRIVAL, arrivalServer, stopReading } from './bounded-server.ts';
import { connectionAnswer, refusalsOf, sendRefusals, unsupportedType } from './errors.ts';
import { concurrencyRoutes } from '../rest/concurrency/routes.ts';
import { describeApi } from '../rest/openapi.ts';
import { PAGE_KEY_SCRIPT } from '../rest/page-key.ts';
import { deadLetterRoutes } from '../rest/dead-letters/routes.ts';
import { eventRoutes } from '../rest/events/routes.ts';
import { functionRoutes } from '../rest/functions/routes.ts';
import { invocationRoutes } from '../rest/invocations/routes.ts';
import { noteRoutes, optionsAnswer, unrouted } from './routing.ts';
import { accessKeyRoutes } from '../rest/access-keys/routes.ts';
import { agentTokenRoutes } from '../rest/agent-tokens/routes.ts';
import { auditRoutes } from '../rest/audit/routes.ts';
import { holdGuesses } from './delay-wrong-keys.ts';
import { quotaRoutes } from '../rest/quotas/routes.ts';
import { checkRights, takeRights } from './rights.ts';
import { repeatedHeader } from './single-headers.ts';
import { streamRoutes } from '../rest/logs/routes.ts';
import { strictValidation } from './validation.ts';
import { workerRoutes } from '../rest/workers/routes.ts';

/** Largest body of a request that carries neither a payload nor code. */
const BODY_BYTES = 256 * 1024;
/** Where pages are: what is there is the same for everybody, and holds no data. */
const PAGES = '/docs';
/** Routes that answer without an access key: probes have none, nor has a browser before a page has given it one. */
const OPEN_ROUTES = new Set(['/healthz', '/readyz', PAGES, `${PAGES}/`, `${PAGES}/static/*`, `${PAGES}/static/index.html`]);
const isOpenRoute = (url: string): boolean => OPEN_ROUTES.has(url) || url.startsWith(`${PAGES}/static/theme/`);

export type RestOptions = {
  /** Asked before every route whether a request may be one. */
  readonly guard: Guard;
  readonly authenticate: Authenticator['admit'];
  /** The gateway as a key sees it. */
  readonly scoped: (access: Access) => Gateway;
  readonly audit: AuditTrail;
  readonly strangers: Strangers;
  readonly scf: ScfOptions;
  /** What has to come before calls can be served; empty when ready. */
  readonly waitsFor: () => readonly string[];
  /** What keeps accepted events from running or being read. */
  readonly faults: () => readonly string[];
  /** What is worth knowing beside. */
  readonly notes: () => readonly string[];
  /** Told of every request, and of every refusal it is answered with. */
  readonly count: { request(): void; refusal(refusal: Refusal): void };
  /** How long calls under way may take once the door closes. */
  readonly closeGraceMs: number;
};

/** Builds the REST door; it does not listen yet. */
export async function createRestServer(gateway: Gateway, options: RestOptions): Promise<FastifyInstance> {
  const unexpected = (error: unknown): void => gateway.log.error('REST call failed', error);
  const app = fastify({
    bodyLimit: BODY_BYTES,
    exposeHeadRoutes: true,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: false },
    frameworkErrors: (error, request, reply) => {
      const refusal = options.guard(headOf(request));
      reply.headers(SECURITY_HEADERS);
      void sendRefusals(reply, refusal ? [refusal] : refusalsOf(error, request, unexpected));
    },
    serverFactory: (listener) => arrivalServer({ ...ARRIVAL, admit: options.strangers.connections.admit }, listener),
    clientErrorHandler: (error, socket) => {
      if (socket.writable) socket.write(connectionAnswer(error.code));
      socket.destroy();
    },
  });
  app.setValidatorCompiler(strictValidation);
  app.setSerializerCompiler(() => (value) => JSON.stringify(value)); // responses are written by hand; their schemas are for the document
  app.decorateRequest('updateMask');
  takeJson(app);
  takeEncodings(app);
  takeRights(app, options.scoped, options.audit);
  const routing = noteRoutes(app);

  // Streams would keep the door open for ever; what else is under way may finish, but not for ever either.
  const closing = new AbortController();
  app.addHook('preClose', async () => {
    closing.abort();
    setTimeout(() => app.server.closeAllConnections(), options.closeGraceMs).unref();
  });
  app.addHook('onRequest', async (request, reply) => {
    options.count.request();
    const head = headOf(request);
    reply.headers(SECURITY_HEADERS);
    if (head.isPage) reply.headers(PAGE_HEADERS);
    const refusal = options.guard(head);
    if (refusal) {
      stopReading(request.raw, reply.raw);
      return refuseHead(request, reply, refusal);
    }
    if (refusesGet(request, reply)) return reply;
    const { url = '', config } = request.routeOptions;
    const repeated = config.signed ? undefined : repeatedHeader(request.raw.rawHeaders);
    if (repeated) throw repeated;
    if (isOpenRoute(url) || config.signed) return undefined;
    try {
      request.access = await options.authenticate(request.headers.authorization);
      checkRights(request);
    } catch (error) {
      stopReading(request.raw, reply.raw);
      await held(request, error);
      throw error;
    }
    return undefined;
  });
  // A body may take minutes: its key may have ended while it came.
  app.addHook('preValidation', async (request) => {
    const { url = '', config } = request.routeOptions;
    if (request.access && !config.signed && !isOpenRoute(url)) request.access = await options.authenticate(request.headers.authorization);
  });
  const held = holdGuesses(options.strangers);
  const refuseAll = (reply: FastifyReply, refusals: readonly [Refusal, ...Refusal[]]): FastifyReply => {
    options.count.refusal(refusals[0]);
    return sendRefusals(reply, refusals);
  };
  const refuseHead = (request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply => {
    options.count.refusal(refusal);
    if (request.routeOptions.config.signed) return sendScfRefusal(request, reply, refusal);
    // What a form sends has a type that no route takes: which one it takes helps more.
    const isTyped = refusal.reason === 'FORM_REQUEST' && request.headers['content-type'] !== undefined;
    return sendRefusals(reply, [isTyped ? unsupportedType(request) : refusal]);
  };
  app.setErrorHandler((error, request, reply) => {
    // Without a route what is wrong with the body does not matter; who calls still does.
    const refusals = refusalsOf(error, request, unexpected);
    request.refusedAs = refusals[0].reason;
    if ((error as { readonly statusCode?: number }).statusCode === 413) letRestBy(reply);
    return refuseAll(reply, request.is404 && refusals[0].status !== 'UNAUTHENTICATED' ? [unrouted(request, reply, routing)] : refusals);
  });
  app.setNotFoundHandler(
    (request, reply) => optionsAnswer(request, reply, routing) ?? refuseAll(reply, [unrouted(request, reply, routing)]),
  );

  await describeApi(app);
  await app.register(swaggerUi, {
    routePrefix: PAGES,
    theme: {
      title: 'Evenfall',
      css: [{ filename: 'evenfall.css', content: '.swagger-ui .topbar { display: none }' }],
      js: [{ filename: 'key.js', content: PAGE_KEY_SCRIPT }],
    },
    staticCSP: true,
    // The door speaks HTTP: told to upgrade, a browser would ask for the page's own scripts where nobody answers.
    transformStaticCSP: (policy) =>
      policy
        .replace('upgrade-insecure-requests;', '')
        .replaceAll(' https:', '')
        .replace(' validator.swagger.io', '')
        .replace("frame-ancestors 'self'", "frame-ancestors 'none'"),
  });

  functionRoutes(app, gateway.bodies);
  concurrencyRoutes(app);
  eventRoutes(app, gateway, unexpected);
  deadLetterRoutes(app);
  accessKeyRoutes(app);
  agentTokenRoutes(app);
  quotaRoutes(app);
  auditRoutes(app);
  streamRoutes(app, { closing: closing.signal, unexpected });
  invocationRoutes(app, gateway);
  workerRoutes(app);
  const { scoped, audit, strangers, count } = options;
  scfRoute(app, { ...options.scf, gateway, scoped, audit, strangers, count, unexpected });
  app.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger());
  app.get('/healthz', { schema: { hide: true } }, async () => ({ status: 'ok' }));
  app.get('/readyz', { schema: { hide: true } }, async (_request, reply) => {
    const [waitsFor, faults, notes] = [options.waitsFor(), options.faults(), options.notes()];
    const more = notes.length > 0 ? { notes } : {};
    if (waitsFor.length + faults.length === 0) return { status: 'ready', ...more };
    return reply.code(503).send({ status: 'not ready', waits_for: waitsFor, faults, ...more });
  });
  await app.ready();
  return app;
}

/** What the guard looks at. */
function headOf(request: FastifyRequest): RequestHead {
  const { url = '', config } = request.routeOptions;
  const { method = '', url: target = '', rawHeaders } = request.raw;
  const isPage = url === PAGES || url.startsWith(`${PAGES}/`);
  return { method, target, rawHeaders, isPage, provesItself: config.signed === true };
}
