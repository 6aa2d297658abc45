import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { failureJson, MAX_RESULT_BYTES, readRuntimeError, tooLargeMessage } from '../../../domain/runtime-answer.ts';
import type { Conversation, ConversationEvents, ConversationSpec, HookCall, Invocation } from '../../../ports.ts';
import { type Body, readBody } from './body.ts';
import { createRuntimeBroker, type Dialect, type Fetcher, type Work } from './runtime-broker.ts';
import { nextHeaders, runtimeVariables } from './headers.ts';
import { type Route, routeOf } from './routes.ts';
import { apiSecret } from './secret.ts';

/** Lambda's limit of an answer: 6 MiB and 100 bytes around it. Results are held to 6 MiB afterwards. */
const MAX_BODY_BYTES = MAX_RESULT_BYTES + 100;
const MAX_CONNECTIONS = 32;
/** Requests of one connection that may be unanswered. No client sends the next before the answer; Node would keep as many as come. */
const MAX_UNANSWERED = 8;
const MAX_HEADER_BYTES = 16 * 1024;
/** For a complete request to arrive; one that is held waits for the agent. */
const REQUEST_WITHIN_MS = 120_000;
const NO_BODY: Body = { bytes: 0, data: Buffer.alloc(0), tooLarge: false };
/** Types of errors that Lambda lets through. */
const ERROR_TYPE = /(Runtime|Function)\.[A-Z][a-zA-Z]+/;

/**
 * Serves the runtime APIs of Lambda, FC and SCF to one instance, on a loopback port of its own that goes with the instance. Ready is the first request for a call, or SCF's `init/ready`.
 */
export async function runtimeApiConversation(spec: ConversationSpec, events: ConversationEvents): Promise<Conversation> {
  const { fn, timeoutMs, network } = spec;
  let isReady = false;
  let mayLoad = false;
  let isLoaded = false;
  let initFailed = false;
  /** undefined until its process has been started: no request is accepted before. */
  let guest: { readonly uid: number | undefined } | undefined;

  const reportIfLoaded = (): void => {
    if (!isReady || !mayLoad || isLoaded || initFailed) return;
    isLoaded = true;
    events.onLoaded();
  };
  let isLeaving = false;
  const serve = (work: Work, { dialect, response }: Fetcher): void => {
    if (!work.isHook && !work.fetched) events.onReceived(work.call.seq);
    work.fetched = true;
    response.writeHead(200, nextHeaders(dialect, fn, timeoutMs, work));
    response.end('payload' in work.call ? work.call.payload : undefined);
  };
  const broker = createRuntimeBroker(serve);

  const onNext = (dialect: Dialect, response: ServerResponse): void => {
    const fetched = initFailed ? 'REFUSED' : broker.fetch({ dialect, response });
    if (fetched === 'REFUSED') return refuseState(response);
    isReady = true;
    if (fetched === 'HELD') events.onFree(); // before an event that waits for it is handed over
    reportIfLoaded();
    if (fetched === 'HELD' && isLeaving) events.onFinished();
  };
  const onAnswer = (route: Extract<Route, { dialect: Dialect }>, body: Body, request: IncomingMessage, response: ServerResponse): void => {
    const work = broker.answered(route.requestId);
    if (work === 'UNKNOWN') return answer(response, 400, { errorMessage: 'Invalid request ID', errorType: 'InvalidRequestID' });
    if (work === 'DONE') return refuseState(response);
    const { seq, requestId } = work.call;
    const fail = (statusCode: number, failure: Parameters<typeof failureJson>[2]): void => {
      if (work.isHook) return events.onHookEnded(seq, false, failure.message);
      events.onFailed(seq, { statusCode, error: failureJson(requestId, statusCode, failure), tookMs: Infinity, mustExit: false });
    };
    const errorType = headerOf(request, 'lambda-runtime-function-error-type');
    const late = trailerError(request);
    if (route.kind === 'ERROR') fail(430, readRuntimeError(body.data, allowedType(errorType)));
    else if (late) fail(430, late);
    else if (work.isHook) events.onHookEnded(seq, true, '');
    else if (body.tooLarge) fail(407, { message: tooLargeMessage(body.bytes), type: 'Function.ResponseSizeTooLarge' });
    else events.onAnswered(seq, body.data, Infinity);
    if (broker.isWaiting()) events.onFree(); // FC's client has requested the next one already
    if (body.tooLarge) {
      const errorMessage = `Exceeded maximum allowed payload size (${MAX_BODY_BYTES} bytes).`;
      return answer(response, 413, { errorMessage, errorType: 'RequestEntityTooLarge' });
    }
    accept(route.dialect, response);
  };
  const onInitError = (dialect: Dialect, body: Body, request: IncomingMessage, response: ServerResponse): void => {
    if (isReady || initFailed) return refuseState(response);
    initFailed = true;
    const failure = readRuntimeError(body.data, allowedType(headerOf(request, 'lambda-runtime-function-error-type')));
    accept(dialect, response);
    const message = `The runtime could not initialize: ${failure.message.slice(0, 1_000)}`;
    events.onLoadFailed({ statusCode: 443, message, error: failureJson('', 443, failure) });
  };
  /** Answers a request whose body has been read, if it needs one. */
  const handle = (route: Route, body: Body, request: IncomingMessage, response: ServerResponse): void => {
    switch (route.kind) {
      case 'NEXT':
        return onNext(route.dialect, response);
      case 'RESPONSE':
      case 'ERROR':
        return onAnswer(route, body, request, response);
      case 'INIT_ERROR':
        return onInitError(route.dialect, body, request, response);
      case 'INIT_READY':
        isReady = true;
        answer(response, 200, {});
        return reportIfLoaded();
      case 'EXTEND': {
        if (Number.isNaN(route.ms))
          return answer(response, 400, { errorMessage: 'Milliseconds are required, as ?ms=5000', errorType: 'BadRequest' });
        const { grantedMs, reason } = events.onExtensionRequested(route.ms);
        return answer(response, 200, { granted_ms: grantedMs, reason });
      }
      case 'PING':
        response.end('pong');
        return;
      case 'EXTENSION_REGISTER':
        response.setHeader('Lambda-Extension-Identifier', randomUUID());
        return answer(response, 200, { functionName: fn.name, functionVersion: fn.version, handler: fn.handler });
      case 'EXTENSION_NEXT':
        return; // held: extensions receive no events here, and their clients wait for ever
      case 'EXTENSION_ERROR':
        return answer(response, 202, { status: 'OK' });
      case 'STUB':
        return answer(response, 202, {
          errorMessage: `${route.name} API is not supported`,
          errorType: `${route.name}.NotSupported`,
        });
      case 'NO_SUCH_METHOD':
        return answer(response, 405, { errorMessage: 'Method not allowed', errorType: 'MethodNotAllowed' });
      case 'NO_SUCH_PATH':
        return answer(response, 404, { errorMessage: 'There is no such path in this runtime API', errorType: 'PathNotFound' });
    }
  };
  const unanswered = new WeakMap<Socket, number>();
  /** Counts a request of a connection until it is answered; false if there are too many, and the connection is closed. */
  const admit = ({ socket }: IncomingMessage, response: ServerResponse): boolean => {
    const count = (unanswered.get(socket) ?? 0) + 1;
    if (count > MAX_UNANSWERED) {
      socket.destroy();
      return false;
    }
    unanswered.set(socket, count);
    response.once('close', () => unanswered.set(socket, (unanswered.get(socket) ?? 1) - 1));
    return true;
  };
  const secret = apiSecret(network.needsSecret);
  const server = createServer(
    { maxHeaderSize: MAX_HEADER_BYTES, requestTimeout: REQUEST_WITHIN_MS, keepAliveTimeout: 0 },
    (request, response) => {
      response.on('error', () => undefined); // its reader is gone
      if (!admit(request, response)) return;
      const path = secret.pathOf(request.url ?? '');
      if (path === undefined) return void response.destroy(); // it is not an instance's
      const route = routeOf(request.method ?? '', path);
      const needsBody = route.kind === 'RESPONSE' || route.kind === 'ERROR' || route.kind === 'INIT_ERROR';
      if (!needsBody) return handle(route, NO_BODY, request, response);
      readBody(request, MAX_BODY_BYTES).then(
        (body) => handle(route, body, request, response),
        () => response.destroy(), // its writer went away, or never stopped
      );
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  // In the host's network other instances reach this port too. Where each has a user of its own, the kernel knows which one connects.
  server.on('connection', (socket) => {
    if (!guest || !network.isWith(socket, guest.uid)) socket.destroy();
  });
  server.on('clientError', (_, socket) => socket.destroy());
  const port = await network.listen(server);

  const put = (call: Invocation | HookCall, isHook: boolean): void => broker.put({ call, isHook, fetched: false });
  return {
    variables: runtimeVariables(fn, spec.codeDir, secret.suffix, port),
    ofPackage: true,
    logsHooks: true, // the only client that knows hooks writes these lines itself
    lateFault: { statusCode: 450, message: 'The runtime did not ask its API for a first event within the init timeout' },
    greet(_, uid) {
      guest = { uid };
      events.onGreeted(false);
    },
    onChannel: () => undefined,
    load() {
      mayLoad = true;
      reportIfLoaded();
    },
    invoke(invocation) {
      put(invocation, false);
      return false; // it is received when it is fetched
    },
    leave() {
      // A runtime that requests a call from here on has finished. FC's client requested this one while it worked: that proves nothing.
      isLeaving = true;
    },
    hook(call) {
      // Only a runtime that speaks FC's dialect can run one.
      if (broker.canReceiveHook()) put(call, true);
      else events.onHookEnded(call.seq, false, 'the runtime does not ask FC_RUNTIME_API for calls, and no other runtime API has hooks');
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Lambda's clients want 202, FC's 200. */
function accept(dialect: Dialect, response: ServerResponse): void {
  answer(response, dialect === 'AWS' ? 202 : 200, { status: 'OK' });
}

function refuseState(response: ServerResponse): void {
  answer(response, 403, {
    errorMessage: 'This is not the time for it: State transition is not allowed',
    errorType: 'InvalidStateTransition',
  });
}

function headerOf(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

function allowedType(type: string): string {
  return type === '' ? '' : ERROR_TYPE.test(type) ? type : 'Function.Unknown';
}

/** An error that came up while the answer was being streamed follows it, in the trailers. */
function trailerError(request: IncomingMessage): ReturnType<typeof readRuntimeError> | undefined {
  const type = request.trailers['lambda-runtime-function-error-type'];
  if (!type) return undefined;
  const body = Buffer.from(request.trailers['lambda-runtime-function-error-body'] ?? '', 'base64');
  return readRuntimeError(body, allowedType(type));
}
