import type { Access } from '@evenfall/access';
import type { Refusal } from '@evenfall/errors';
import { type Guard, PAGE_HEADERS, type RequestHead, SECURITY_HEADERS } from '@evenfall/request-guard';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { AuditTrail, Gateway } from '../../ports.ts';
import type { Authenticator } from '../access.ts';
import type { UnauthenticatedCallers } from '../unauthenticated-callers.ts';
import './request-fields.ts';
import { keepConnection, parseJsonBodies } from './body-parsers.ts';
import { createBoundedServer, RECEIVE_LIMITS } from './bounded-server.ts';
import { delayWrongKeys } from './delay-wrong-keys.ts';
import { decodeBodies } from './encodings.ts';
import { connectionAnswer, refusalsOf, sendRefusals, unsupportedType } from './errors.ts';
import { addRights, checkRights } from './rights.ts';
import { noteRoutes, optionsAnswer, unrouted } from './routing.ts';
import { repeatedHeader } from './single-headers.ts';
import { stopReading } from './unread-body.ts';
import { strictValidation } from './validation.ts';

/** Largest body of a request that carries neither a payload nor code. */
const BODY_BYTES = 256 * 1024;

/** An API that the server offers. */
export type HttpApi = {
  /** Adds its routes. */
  register(app: FastifyInstance, context: ApiContext): void;
  /** Answers a request that has no route but that this API understands; returns whether it did. */
  intercept?(request: FastifyRequest, reply: FastifyReply): boolean;
};

export type ApiContext = {
  /** Aborted when the server closes: streams end then. */
  readonly closing: AbortSignal;
  /** Logs a failure that no refusal describes. */
  readonly unexpected: (error: unknown) => void;
};

export type HttpOptions = {
  /** Decides for every request, before its route, whether it may be one. */
  readonly guard: Guard;
  readonly authenticate: Authenticator['admit'];
  /** The gateway as a key sees it. */
  readonly scoped: (access: Access) => Gateway;
  readonly audit: AuditTrail;
  readonly unauthenticated: UnauthenticatedCallers;
  /** Counts every request, and every refusal that one is answered with. */
  readonly count: { request(): void; refusal(refusal: Refusal): void };
  /** How long calls under way may take once the server closes. */
  readonly closeGraceMs: number;
  readonly apis: readonly HttpApi[];
};

/** Builds the HTTP server of all APIs over HTTP; it does not listen yet. */
export async function createHttpServer({ log }: Pick<Gateway, 'log'>, options: HttpOptions): Promise<FastifyInstance> {
  const unexpected = (error: unknown): void => log.error('REST call failed', error);
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
    serverFactory: (listener) => createBoundedServer({ ...RECEIVE_LIMITS, admit: options.unauthenticated.connections.admit }, listener),
    clientErrorHandler: (error, socket) => {
      if (socket.writable) socket.write(connectionAnswer(error.code));
      socket.destroy();
    },
  });
  app.setValidatorCompiler(strictValidation);
  app.setSerializerCompiler(() => (value) => JSON.stringify(value)); // types and tests hold answers to their schemas; checking each would cost time
  app.decorateRequest('updateMask');
  parseJsonBodies(app);
  decodeBodies(app);
  addRights(app, options.scoped, options.audit);
  const routing = noteRoutes(app);
  const closing = closeStreams(app, options.closeGraceMs);
  addAdmission(app, options);
  addRefusals(app, options, routing, unexpected);
  for (const api of options.apis) api.register(app, { closing, unexpected });
  await app.ready();
  return app;
}

/** Streams would keep the server open for ever, so they end when it closes; other calls under way may finish within the grace period. */
function closeStreams(app: FastifyInstance, graceMs: number): AbortSignal {
  const closing = new AbortController();
  app.addHook('preClose', async () => {
    closing.abort();
    setTimeout(() => app.server.closeAllConnections(), graceMs).unref();
  });
  return closing.signal;
}

/** Checks every request before its route runs: its head, its key, and the right that the route takes. */
function addAdmission(app: FastifyInstance, options: HttpOptions): void {
  const delay = delayWrongKeys(options.unauthenticated);
  app.addHook('onRequest', async (request, reply) => {
    options.count.request();
    const head = headOf(request);
    reply.headers(SECURITY_HEADERS);
    if (head.isPage) reply.headers(PAGE_HEADERS);
    const refusal = options.guard(head);
    if (refusal) {
      stopReading(request.raw, reply.raw);
      return refuseHead(request, reply, refusal, options);
    }
    if (options.apis.some((api) => api.intercept?.(request, reply))) return reply;
    const { config } = request.routeOptions;
    const repeated = config.signed ? undefined : repeatedHeader(request.raw.rawHeaders);
    if (repeated) throw repeated;
    if (config.isOpen || config.signed) return undefined;
    try {
      request.access = await options.authenticate(request.headers.authorization);
      checkRights(request);
    } catch (error) {
      stopReading(request.raw, reply.raw);
      await delay(request, error);
      throw error;
    }
    return undefined;
  });
  // A body may take minutes: its key may have expired while it was received.
  app.addHook('preValidation', async (request) => {
    const { config } = request.routeOptions;
    if (request.access && !config.signed && !config.isOpen) request.access = await options.authenticate(request.headers.authorization);
  });
}

function refuseHead(request: FastifyRequest, reply: FastifyReply, refusal: Refusal, { count }: HttpOptions): FastifyReply {
  count.refusal(refusal);
  const { signed } = request.routeOptions.config;
  if (signed) return signed.refuse(request, reply, refusal);
  // What a form sends has a type that no route accepts: naming the type that it accepts helps more.
  const isTyped = refusal.reason === 'FORM_REQUEST' && request.headers['content-type'] !== undefined;
  return sendRefusals(reply, [isTyped ? unsupportedType(request) : refusal]);
}

function addRefusals(
  app: FastifyInstance,
  { count }: HttpOptions,
  routing: ReturnType<typeof noteRoutes>,
  unexpected: (error: unknown) => void,
): void {
  const refuseAll = (reply: FastifyReply, refusals: readonly [Refusal, ...Refusal[]]): FastifyReply => {
    count.refusal(refusals[0]);
    return sendRefusals(reply, refusals);
  };
  app.setErrorHandler((error, request, reply) => {
    // Without a route a fault of the body does not matter; a missing key still does.
    const refusals = refusalsOf(error, request, unexpected);
    request.refusedAs = refusals[0].reason;
    if ((error as { readonly statusCode?: number }).statusCode === 413) keepConnection(reply);
    return refuseAll(reply, request.is404 && refusals[0].status !== 'UNAUTHENTICATED' ? [unrouted(request, reply, routing)] : refusals);
  });
  app.setNotFoundHandler(
    (request, reply) => optionsAnswer(request, reply, routing) ?? refuseAll(reply, [unrouted(request, reply, routing)]),
  );
}

/** The part of a request that the guard looks at. */
function headOf(request: FastifyRequest): RequestHead {
  const { config } = request.routeOptions;
  const { method = '', url: target = '', rawHeaders } = request.raw;
  return { method, target, rawHeaders, isPage: config.isPage === true, provesItself: config.signed !== undefined };
}
