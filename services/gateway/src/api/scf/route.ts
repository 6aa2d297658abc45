import { createHash, randomUUID } from 'node:crypto';
import { isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createByteBudget } from '@evenfall/door-limits';
import { isRefusal, type Refusal } from '@evenfall/errors';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { jsonFault } from '../../domain/payload.ts';
import { type Access, ACTIONS as RIGHTS, checkAccess, SCF_ACTIONS, type ScfRule } from '@evenfall/access';
import { AuditRecord_Api } from '@evenfall/contracts/v1/audit_service';
import { functionFlows } from '../../flows/manage-functions.ts';
import { auditedCall, type AuditedCall, BEGUN, isWrittenFromLog } from '../../domain/audit-entry.ts';
import type { AuditTrail, Gateway } from '../../ports.ts';
import type { Signer } from '../access.ts';
import { isLoopbackAddress } from '../http/loopback-address.ts';
import { askForBody, stopReading } from '../http/bounded-server.ts';
import { callerOf } from '../http/caller.ts';
import { isLarge, letRestBy } from '../http/body-parsers.ts';
import { holdGuesses } from '../http/delay-wrong-keys.ts';
import type { Strangers } from '../unauthenticated-callers.ts';
import { isGone } from '../http/errors.ts';
import type { Action, Meant, ScfAnswer, ScfCall } from './action.ts';
import { ACTIONS } from './actions.ts';
import { missing, ScfError, scfError } from './codes.ts';
import { type Form, formSignatureCheck } from './form-signature.ts';
import { type ReadBody, readBody } from './read-body.ts';
import { scfErrorOf } from './refusals.ts';
import { type Claim, signatureCheck, textOf } from './signature.ts';
import { zoneNamed } from './zone.ts';

const VERSION = '2018-04-16';
/** Bytes of a form. It names its key inside, so that anybody can have it read: larger things are sent as JSON. */
const FORM_BYTES = 1024 * 1024;
/** Bytes of all bodies that are held at the same time: a code package of the largest kind, and others beside it. */
const HELD_BYTES = 128 * 1024 * 1024;
/** When a form that is not let in is answered, counted from its last byte. */
const NO_AFTER_MS = 100;
const NO_BODY: ReadBody = { parts: [], bytes: 0, sha256: createHash('sha256').digest('hex'), release: () => undefined };
const NEEDS_TLS =
  'A signed request can be sent again by who reads it: from other machines they are taken by HTTPS only. Put a proxy with TLS in front, and set EVENFALL_SCF_BEHIND_TLS=yes.';
/** What every form says beside the action's own parameters. */
const COMMON = new Set([
  ...[
    'Action',
    'Version',
    'Timestamp',
    'Nonce',
    'Region',
    'SecretId',
    'Signature',
    'SignatureMethod',
    'Token',
    'Language',
    'RequestClient',
  ],
]);

export type ScfOptions = {
  /** The key that a signature names; undefined if none of this id can sign. Refusals: SERVICE_UNAVAILABLE. */
  readonly signerOf: (id: string) => Signer | undefined;
  /** Whether requests need no signature; forms always do. */
  readonly isOpen: boolean;
  /** Whether requests of other machines came by TLS, which a proxy ended. */
  readonly isBehindTls: boolean;
  /** Zone of the tz database that times are written in. */
  readonly timeZone: string;
};

type Door = ScfOptions & {
  readonly gateway: Gateway;
  /** The gateway as a key sees it. */
  readonly scoped: (access: Access) => Gateway;
  readonly audit: AuditTrail;
  readonly strangers: Strangers;
  readonly count: { refusal(refusal: Refusal): void };
  readonly unexpected: (error: unknown) => void;
};

/** What was found out before the body came. */
type Head = { readonly kind: 'form' } | { readonly kind: 'json'; readonly claim: Claim; readonly name: string; readonly action: Action };

/**
 * Opens the door for SDKs of Tencent Cloud's SCF: `POST /`, the action in a header, everything else in JSON; or all of it in a form, as the
 * older signatures want it. Every answer is HTTP 200: an SDK reads no error of any other.
 */
export function scfRoute(app: FastifyInstance, door: Door): void {
  const check = signatureCheck(door, door.gateway.clock.now);
  const checkForm = formSignatureCheck(door.signerOf, door.gateway.clock.now);
  const held = holdGuesses(door.strangers);
  const budget = createByteBudget(HELD_BYTES);
  const zone = zoneNamed(door.timeZone);
  const heads = new WeakMap<FastifyRequest, Head>();

  void app.register(async (scf) => {
    scf.removeAllContentTypeParsers();
    const rulesOf = (request: FastifyRequest) => {
      const head = heads.get(request);
      if (head?.kind !== 'json') return { maxBytes: FORM_BYTES, keeps: true, budget };
      return { maxBytes: head.action.maxBodyBytes, keeps: head.claim.isKnown, budget };
    };
    scf.addHook('preParsing', async (request, reply) => {
      if (request.headers.expect === undefined) return;
      // Also of an id that nobody has: it is not to be told from a wrong secret.
      const { maxBytes } = rulesOf(request);
      if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw scfError('RequestSizeLimitExceeded', `It is ${maxBytes} bytes.`);
      askForBody(request.raw, reply.raw);
    });
    scf.addContentTypeParser('*', (request: FastifyRequest, payload: Readable) => readBody(payload, rulesOf(request)));
    scf.setErrorHandler(async (error, request, reply) => {
      if (isRefusal(error)) door.count.refusal(error);
      if (isGone(request)) return sendError(request, reply, scfError('InternalError'));
      const head = heads.get(request);
      const codes = head?.kind === 'json' ? head.action.codes : {};
      const said = scfErrorOf(error, codes, door.unexpected);
      if (said.code === 'AuthFailure.SignatureFailure') {
        stopReading(request.raw, reply.raw);
        await held(request, error, true);
      }
      return sendError(request, reply, said);
    });
    scf.post<{ Body: ReadBody | undefined }>(
      '/',
      {
        schema: { hide: true },
        config: { signed: true },
        onRequest: async (request) => {
          heads.set(request, headOf(request, check, door));
        },
      },
      async (request, reply) => {
        const body = request.body ?? NO_BODY;
        const said = await answer(request, reply, body).finally(() => body.release());
        return send(request, reply, said);
      },
    );
    const answer = async (request: FastifyRequest, reply: FastifyReply, body: ReadBody): Promise<ScfAnswer> => {
      const head = heads.get(request);
      const requestId = randomUUID();
      let said: ScfAnswer;
      if (head?.kind === 'json') {
        const entry = entryOf(request, head.claim.prove(body.sha256), head.name, door);
        said = await entry.run(async (rights) => {
          const { parameters, large } = await parametersOf(body, door);
          return head.action.runJson({ ...rights, caller: callerOf(request, reply), zone, requestId, large }, parameters);
        });
      } else {
        const { form, access } = await evenly(() => checkForm(request.headers, Buffer.concat(body.parts)));
        const name = form.get('Action') ?? '';
        const action = actionNamed(name, form.get('Version') ?? '');
        const entry = entryOf(request, access, name, door);
        said = await entry.run((rights) =>
          runForm(action, { ...rights, caller: callerOf(request, reply), zone, requestId, large: NO_LARGE }, form, door),
        );
      }
      return { ...said, RequestId: said['RequestId'] ?? requestId };
    };
  });
}

/**
 * Checks a form, and says no after the same time whether its id is known or not: of a known one all of the form is read for the signature. Its
 * largest form takes some 10 ms.
 */
async function evenly<T>(check: () => T): Promise<T> {
  const untilMs = performance.now() + NO_AFTER_MS;
  try {
    return check();
  } catch (error) {
    await sleep(Math.max(0, untilMs - performance.now()), undefined, { ref: false });
    throw error;
  }
}

type Rights = Pick<ScfCall, 'gateway' | 'functions' | 'enter'>;

/** Has an action run with the rights of its caller, and the audit log keep what became of it. */
function entryOf(
  request: FastifyRequest,
  access: Access,
  name: string,
  door: Door,
): { run(act: (rights: Rights) => Promise<ScfAnswer>): Promise<ScfAnswer> } {
  request.access = access;
  const rule: ScfRule | undefined = SCF_ACTIONS[name];
  if (!rule) throw scfError('InvalidAction'); // without a right of its own it is nobody's
  const { remoteAddress: address } = request.raw.socket;
  const call = RIGHTS[rule.action].isAudited
    ? auditedCall({ keyId: access.id, address, api: AuditRecord_Api.SCF, action: rule.action, operation: name })
    : undefined;
  request.auditedCall = call;
  const note = (audited: AuditedCall, outcome: string): Promise<void> => door.audit.note({ ...audited, ...meant, outcome });
  let meant: Meant = { namespace: undefined, subject: undefined };
  const gateway = door.scoped(access);
  const rights: Rights = {
    gateway,
    functions: functionFlows(gateway),
    async enter(given) {
      meant = { ...given, namespace: rule.namespace === 'default' ? 'default' : given.namespace };
      checkAccess(access, rule.action, rule.namespace === 'event' ? undefined : (meant.namespace ?? ''));
      if (call && !isWrittenFromLog(call)) await note(call, BEGUN);
    },
  };
  return {
    async run(act) {
      try {
        checkAccess(access, rule.action);
        const said = await act(rights);
        if (call && !isWrittenFromLog(call)) await note(call, 'OK');
        return said;
      } catch (error) {
        const kept = call && note(call, error instanceof ScfError ? error.code : isRefusal(error) ? error.reason : 'INTERNAL');
        if (call && !isWrittenFromLog(call)) await kept;
        throw error;
      }
    },
  };
}

/** Turns a request away before the door looks at it. Its status is not 200: it may be that of a browser, which reads the status and not the body. */
export function sendScfRefusal(request: FastifyRequest, reply: FastifyReply, refusal: Refusal): FastifyReply {
  reply.code(refusal.httpStatus);
  return sendError(request, reply, scfError('InvalidRequest', refusal.message));
}

/** Answers what an SDK that was told to use GET sends, where nothing else would understand it. */
export function refusesGet(request: FastifyRequest, reply: FastifyReply): boolean {
  const [path, query = ''] = request.url.split('?', 2);
  const isScf = request.method === 'GET' && path === '/' && ('x-tc-action' in request.headers || /(^|&)Action=/.test(query));
  if (isScf) sendError(request, reply, scfError('UnsupportedProtocol', 'Send requests by POST.'));
  return isScf;
}

/** Looks at all that can be judged without the body: who calls, and what for. */
function headOf(request: FastifyRequest, check: (headers: FastifyRequest['headers']) => Claim, { isOpen, isBehindTls }: Door): Head {
  const { headers, socket } = request;
  if (!isBehindTls && !isLoopbackAddress(socket.remoteAddress)) throw scfError('UnsupportedProtocol', NEEDS_TLS);
  const type = (headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/x-www-form-urlencoded') {
    if (!isOpen) return { kind: 'form' };
    // Any web page can have a browser send a form: only a signature that can be checked tells it from one.
    throw scfError(
      'AuthFailure.InvalidAuthorization',
      'Forms are taken only signed with an access key, and with EVENFALL_OPEN=yes there is none; use TC3-HMAC-SHA256.',
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

async function runForm(action: Action, call: ScfCall, form: Form, door: Door): Promise<ScfAnswer> {
  try {
    return await action.runForm(
      call,
      [...form].filter(([name]) => !COMMON.has(name)),
    );
  } catch (error) {
    if (isRefusal(error)) door.count.refusal(error);
    throw scfErrorOf(error, action.codes, door.unexpected); // here it is known which action it was
  }
}

/** Texts that may be large, by their names: code in Base64, and payloads. */
const LARGE = { base64: ['ZipFile', 'Code.ZipFile'], texts: ['ClientContext', 'Event'] } as const;
const NO_LARGE: ScfCall['large'] = new Map();

/** Reads the parameters; those of a large body apart from the texts that make it large. */
async function parametersOf(
  body: ReadBody,
  { gateway }: Door,
): Promise<{ readonly parameters: unknown; readonly large: ScfCall['large'] }> {
  if (!isLarge(body.parts)) return { parameters: parsedJson(Buffer.concat(body.parts)), large: NO_LARGE };
  try {
    const { rest, taken } = await gateway.bodies.extract(body.parts, LARGE);
    return { parameters: JSON.parse(rest) as unknown, large: taken }; // that it is JSON was seen there
  } catch (error) {
    if (isRefusal(error) && error.reason === 'INVALID_JSON')
      throw scfError('InvalidParameter', `The body is not valid JSON: ${error.metadata['detail'] ?? ''}.`);
    throw error;
  }
}

function parsedJson(body: Buffer): unknown {
  if (body.length === 0) return {};
  if (!isUtf8(body)) throw scfError('InvalidParameter', 'The body is not UTF-8.');
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    throw scfError('InvalidParameter', `The body is not valid JSON: ${jsonFault(error)}.`);
  }
}

function sendError(request: FastifyRequest, reply: FastifyReply, { code, message }: ScfError): FastifyReply {
  if (code === 'RequestSizeLimitExceeded') letRestBy(reply);
  return send(request, reply, { Error: { Code: code, Message: message }, RequestId: randomUUID() });
}

function send(request: FastifyRequest, reply: FastifyReply, response: ScfAnswer): FastifyReply {
  const traceId = textOf(request.headers, 'x-tc-traceid');
  if (/^[\w-]{1,128}$/.test(traceId)) reply.header('x-tc-traceid', traceId);
  // As bytes: of text fastify would write the charset too, and the SDK for Python looks for errors only in what is `application/json` exactly.
  const body = Buffer.from(JSON.stringify({ Response: response }));
  return reply.header('content-type', 'application/json').send(body);
}
