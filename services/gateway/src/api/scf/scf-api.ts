import { createHash, randomUUID } from 'node:crypto';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Access } from '@evenfall/access';
import { createByteBudget } from '@evenfall/api-limits';
import { isRefusal, type Refusal } from '@evenfall/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { AuditTrail, Gateway } from '../../ports.ts';
import type { Signer } from '../access.ts';
import { keepConnection } from '../http/body-parsers.ts';
import { callerOf } from '../http/caller.ts';
import { delayWrongKeys } from '../http/delay-wrong-keys.ts';
import { isGone } from '../http/errors.ts';
import { isLoopbackAddress } from '../http/loopback-address.ts';
import type { HttpApi } from '../http/server.ts';
import { sendContinue, stopReading } from '../http/unread-body.ts';
import type { UnauthenticatedCallers } from '../unauthenticated-callers.ts';
import type { Action, ScfAnswer, ScfCall } from './action.ts';
import { ACTIONS } from './actions.ts';
import { missing, ScfError, scfError } from './codes.ts';
import { type Form, formSignatureCheck, parametersOfForm } from './form-signature.ts';
import { type ReadBody, readBody } from './read-body.ts';
import { NO_LARGE, readParameters } from './read-parameters.ts';
import { scfErrorOf } from './refusals.ts';
import { actionRunner } from './run-action.ts';
import { type Claim, signatureCheck, textOf } from './signature.ts';
import { type Zone, zoneNamed } from './zone.ts';

const VERSION = '2018-04-16';
/** Bytes of a form. It names its key inside, so that any caller can make the gateway read it: larger requests are sent as JSON. */
const FORM_BYTES = 1024 * 1024;
/** Bytes of all bodies that are held at the same time: a code package of the largest kind, and others beside it. */
const HELD_BYTES = 128 * 1024 * 1024;
/** When a form that is refused is answered, counted from its last byte. */
const REFUSE_AFTER_MS = 100;
const NO_BODY: ReadBody = { parts: [], bytes: 0, sha256: createHash('sha256').digest('hex'), release: () => undefined };
const NEEDS_TLS =
  'A signed request can be sent again by who reads it: from other machines they are accepted by HTTPS only. Put a proxy with TLS in front, and set EVENFALL_SCF_BEHIND_TLS=yes.';

export type ScfSettings = {
  /** The key that a signature names; undefined if none of this id can sign. Refusals: SERVICE_UNAVAILABLE. */
  readonly signerOf: (id: string) => Signer | undefined;
  /** Whether requests need no signature; forms always do. */
  readonly isOpen: boolean;
  /** Whether requests of other machines came by TLS, which a proxy ended. */
  readonly isBehindTls: boolean;
  /** Zone of the tz database that times are written in. */
  readonly timeZone: string;
};

export type ScfOptions = ScfSettings & {
  readonly gateway: Gateway;
  /** The gateway as a key sees it. */
  readonly scoped: (access: Access) => Gateway;
  readonly audit: AuditTrail;
  readonly unauthenticated: UnauthenticatedCallers;
  readonly count: { refusal(refusal: Refusal): void };
};

/** What is known of a request before its body is read. */
type Head = { readonly kind: 'form' } | { readonly kind: 'json'; readonly claim: Claim; readonly name: string; readonly action: Action };

type Route = ScfOptions & { readonly zone: Zone; readonly unexpected: (error: unknown) => void };

/**
 * The API for SDKs of Tencent Cloud's SCF: `POST /`, the action in a header, everything else in JSON; or all of it in a form, as the
 * older signatures want it. Every answer is HTTP 200: an SDK reads no error of any other status.
 */
export function scfApi(options: ScfOptions): HttpApi {
  return {
    register: (app, { unexpected }) => {
      const route = { ...options, zone: zoneNamed(options.timeZone), unexpected };
      void app.register(async (scf) => addRoute(scf, route));
    },
    intercept: refusesGet,
  };
}

function addRoute(app: FastifyInstance, route: Route): void {
  const check = signatureCheck(route, route.gateway.clock.now);
  const runForm = formRunner(route);
  const delay = delayWrongKeys(route.unauthenticated);
  const budget = createByteBudget(HELD_BYTES);
  const heads = new WeakMap<FastifyRequest, Head>();
  const bodyRules = (request: FastifyRequest) => {
    const head = heads.get(request);
    if (head?.kind !== 'json') return { maxBytes: FORM_BYTES, keeps: true, budget };
    return { maxBytes: head.action.maxBodyBytes, keeps: head.claim.isKnown, budget };
  };
  app.removeAllContentTypeParsers();
  app.addHook('preParsing', async (request, reply) => {
    if (request.headers.expect === undefined) return;
    // Also for an id that no key has: the answer must not differ from that to a wrong secret.
    const { maxBytes } = bodyRules(request);
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw scfError('RequestSizeLimitExceeded', `It is ${maxBytes} bytes.`);
    sendContinue(request.raw, reply.raw);
  });
  app.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) => readBody(payload, bodyRules(request)));
  app.setErrorHandler(async (error, request, reply) => {
    if (isRefusal(error)) route.count.refusal(error);
    if (isGone(request)) return sendError(request, reply, scfError('InternalError'));
    const head = heads.get(request);
    const codes = head?.kind === 'json' ? head.action.codes : {};
    const answer = scfErrorOf(error, codes, route.unexpected);
    if (answer.code === 'AuthFailure.SignatureFailure') {
      stopReading(request.raw, reply.raw);
      await delay(request, error, true);
    }
    return sendError(request, reply, answer);
  });
  app.post<{ Body: ReadBody | undefined }>(
    '/',
    {
      schema: { hide: true },
      config: { signed: { refuse: sendScfRefusal } },
      onRequest: async (request) => {
        heads.set(request, headOf(request, check, route));
      },
    },
    async (request, reply) => {
      const body = request.body ?? NO_BODY;
      const head = heads.get(request);
      const run = head?.kind === 'json' ? runJson(request, reply, body, head, route) : runForm(request, reply, body);
      return send(request, reply, await run.finally(() => body.release()));
    },
  );
}

async function runJson(
  request: FastifyRequest,
  reply: FastifyReply,
  body: ReadBody,
  { claim, name, action }: Head & { readonly kind: 'json' },
  route: Route,
): Promise<ScfAnswer> {
  const requestId = randomUUID();
  const { run } = actionRunner(request, claim.prove(body.sha256), name, route);
  const answer = await run(async (rights) => {
    const { parameters, large } = await readParameters(body, route.gateway);
    return action.runJson({ ...rights, caller: callerOf(request, reply), zone: route.zone, requestId, large }, parameters);
  });
  return { ...answer, RequestId: answer['RequestId'] ?? requestId };
}

function formRunner(route: Route): (request: FastifyRequest, reply: FastifyReply, body: ReadBody) => Promise<ScfAnswer> {
  const checkForm = formSignatureCheck(route.signerOf, route.gateway.clock.now);
  return async (request, reply, body) => {
    const requestId = randomUUID();
    const { form, access } = await refuseEvenly(() => checkForm(request.headers, Buffer.concat(body.parts)));
    const name = form.get('Action') ?? '';
    const action = actionNamed(name, form.get('Version') ?? '');
    const { run } = actionRunner(request, access, name, route);
    const answer = await run((rights) =>
      runForm(action, { ...rights, caller: callerOf(request, reply), zone: route.zone, requestId, large: NO_LARGE }, form, route),
    );
    return { ...answer, RequestId: answer['RequestId'] ?? requestId };
  };
}

/**
 * Checks a form, and refuses it after the same time whether its id is known or not: only of a known one all of the form is read for the signature. The
 * largest form takes some 10 ms.
 */
async function refuseEvenly<T>(check: () => T): Promise<T> {
  const untilMs = performance.now() + REFUSE_AFTER_MS;
  try {
    return check();
  } catch (error) {
    await sleep(Math.max(0, untilMs - performance.now()), undefined, { ref: false });
    throw error;
  }
}

/** Refuses a request before its route runs. Its status is not 200: the caller may be a browser, which reads the status and not the body. */
function sendScfRefusal(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  reply.code(refusal.httpStatus);
  return sendError(request, reply, scfError('InvalidRequest', refusal.message));
}

/** Answers an SDK that is configured to use GET in the form that it understands. */
function refusesGet(request: FastifyRequest, reply: FastifyReply): boolean {
  const [path, query = ''] = request.url.split('?', 2);
  const isScf = request.method === 'GET' && path === '/' && ('x-tc-action' in request.headers || /(^|&)Action=/.test(query));
  if (isScf) sendError(request, reply, scfError('UnsupportedProtocol', 'Send requests by POST.'));
  return isScf;
}

/** Checks all that can be checked without the body: the claim of a key, and the action. */
function headOf(request: FastifyRequest, check: (headers: FastifyRequest['headers']) => Claim, { isOpen, isBehindTls }: Route): Head {
  const { headers, socket } = request;
  if (!isBehindTls && !isLoopbackAddress(socket.remoteAddress)) throw scfError('UnsupportedProtocol', NEEDS_TLS);
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/x-www-form-urlencoded') {
    if (!isOpen) return { kind: 'form' };
    // Any web page can make a browser send a form: only a valid signature distinguishes the two.
    throw scfError(
      'AuthFailure.InvalidAuthorization',
      'Forms are accepted only signed with an access key, and with EVENFALL_OPEN=yes there is none; use TC3-HMAC-SHA256.',
    );
  }
  const claim = check(headers);
  if (type !== 'application/json')
    throw scfError('InvalidRequest', 'The Content-Type is application/json, or application/x-www-form-urlencoded.');
  const name = textOf(headers, 'x-tc-action');
  return { kind: 'json', claim, name, action: actionNamed(name, textOf(headers, 'x-tc-version')) };
}

function actionNamed(name: string, version: string): Action {
  if (name === '') throw missing('Action');
  if (version === '') throw missing('Version');
  if (version !== VERSION) throw scfError('NoSuchVersion', `It is ${VERSION}.`);
  const action = ACTIONS.get(name);
  if (!action) throw scfError('InvalidAction');
  return action;
}

async function runForm(action: Action, call: ScfCall, form: Form, { count, unexpected }: Route): Promise<ScfAnswer> {
  try {
    return await action.runForm(call, parametersOfForm(form));
  } catch (error) {
    if (isRefusal(error)) count.refusal(error);
    throw scfErrorOf(error, action.codes, unexpected); // the error handler does not know the action of a form
  }
}

function sendError(request: FastifyRequest, reply: FastifyReply, { code, message }: ScfError): FastifyReply {
  if (code === 'RequestSizeLimitExceeded') keepConnection(reply);
  return send(request, reply, { Error: { Code: code, Message: message }, RequestId: randomUUID() });
}

function send(request: FastifyRequest, reply: FastifyReply, response: ScfAnswer): FastifyReply {
  const traceId = textOf(request.headers, 'x-tc-traceid');
  if (/^[\w-]{1,128}$/.test(traceId)) reply.header('x-tc-traceid', traceId);
  // As bytes: of text fastify would write the charset too, and the SDK for Python looks for errors only in what is `application/json` exactly.
  const body = Buffer.from(JSON.stringify({ Response: response }));
  return reply.header('content-type', 'application/json').send(body);
}
