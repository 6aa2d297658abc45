import { isRefusal, refuse, Refusal } from '@evenfall/errors';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';

/** Several faults of one request at once. */
export class InvalidRequest extends Error {
  readonly refusals: readonly [Refusal, ...Refusal[]];

  constructor(refusals: readonly [Refusal, ...Refusal[]]) {
    super(refusals[0].message);
    this.name = 'InvalidRequest';
    this.refusals = refusals;
  }
}

/** The documented body of an error. */
export function errorBody(refusals: readonly [Refusal, ...Refusal[]]): object {
  const [first, ...more] = refusals;
  const message = more.length === 0 ? first.message : `${first.message} (and ${more.length} more)`;
  const details = refusals.map(({ reason, metadata }) => ({ reason, domain: 'evenfall', metadata }));
  return { error: { code: first.httpStatus, status: first.status, message, details } };
}

/** The refusals that a failure is answered with; `unexpected` receives failures that no refusal describes. */
export function refusalsOf(
  error: unknown,
  request: FastifyRequest,
  unexpected: (error: unknown) => void,
): readonly [Refusal, ...Refusal[]] {
  if (error instanceof InvalidRequest) return error.refusals;
  if (isRefusal(error)) return [error];
  if (isGone(request)) return [refuse('CANCELLED')];
  const known = refusalOfFramework(error, request);
  if (known) return [known];
  unexpected(error);
  return [refuse('INTERNAL')];
}

/** Answers a request with its refusals. */
export function sendRefusals(reply: FastifyReply, refusals: readonly [Refusal, ...Refusal[]]): FastifyReply {
  const [first] = refusals;
  if (first.status === 'UNAUTHENTICATED') reply.header('www-authenticate', 'Bearer realm="evenfall"');
  if (first.retry && (first.httpStatus === 429 || first.httpStatus === 503)) reply.header('retry-after', retryAfterOf(first));
  return reply
    .code(first.httpStatus)
    .header('content-type', 'application/json; charset=utf-8')
    .send(JSON.stringify(errorBody(refusals)));
}

/** When to try again, in seconds. */
function retryAfterOf({ reason, metadata }: Refusal): string {
  const { retry_after_ms: ms } = metadata;
  return ms === undefined ? (reason === 'LANE_FULL' ? '5' : '1') : String(Math.max(1, Math.ceil(Number(ms) / 1_000)));
}

/** What the body of a route is, for the refusal of one that is too large. */
export type BodyKind = 'payload' | 'code' | 'request';

/** Whether the caller disconnected before its request was complete: no answer will be read, and it is no failure of the gateway. */
export function isGone({ raw }: FastifyRequest): boolean {
  return raw.destroyed && !raw.complete;
}

/** The refusal of an error by which the framework reports a fault of the caller. */
function refusalOfFramework(error: unknown, request: FastifyRequest): Refusal | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code = '', statusCode = 500 } = error as Partial<FastifyError>;
  const { bodyKind = 'request' } = request.routeOptions.config;
  const maxBytes = request.routeOptions.bodyLimit;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE': {
      const isPacked = request.headers['content-encoding'] !== undefined;
      const size = (isPacked ? undefined : request.headers['content-length']) ?? `more than ${maxBytes}`;
      if (bodyKind === 'payload') return refuse('PAYLOAD_TOO_LARGE', { size_bytes: size, max_bytes: maxBytes });
      if (bodyKind === 'code')
        return refuse('CODE_PACKAGE_TOO_LARGE', { detail: `${size} bytes zipped; at most ${maxBytes} are accepted` });
      return refuse('REQUEST_TOO_LARGE', { max_bytes: maxBytes });
    }
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
    case 'FST_ERR_CTP_INVALID_TYPE':
      return unsupportedType(request);
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return refuse('INVALID_FIELD', { field: 'content-length', rule: 'the number of bytes that follow' });
    case 'FST_ERR_BAD_URL':
      return refuse('INVALID_FIELD', { field: 'path', rule: 'percent-encoded UTF-8' });
    case 'FST_ERR_MAX_PARAM_LENGTH':
    case 'FST_ERR_NOT_FOUND':
      return unknownPath(request);
    case 'Z_DATA_ERROR':
    case 'Z_BUF_ERROR':
      return refuse('INVALID_REQUEST', { detail: 'the body is not gzip' });
    default:
      if (statusCode === 403 || statusCode === 404) return unknownPath(request); // 403: a path out of the folder of /docs
      return statusCode >= 400 && statusCode < 500 ? refuse('INVALID_REQUEST', { detail: error.message.slice(0, 200) }) : undefined;
  }
}

/** The refusal of a body of another type than that of its route. */
export function unsupportedType({ headers, routeOptions }: FastifyRequest): Refusal {
  return refuse('UNSUPPORTED_MEDIA_TYPE', {
    content_type: (headers['content-type'] ?? 'nothing').slice(0, 80),
    expected: routeOptions.config.bodyKind === 'code' ? 'application/zip' : 'application/json',
  });
}

/** The answer to an unknown path. */
export function unknownPath(request: FastifyRequest): Refusal {
  return refuse('UNKNOWN_PATH', { method: request.method, path: (request.url.split('?')[0] ?? '').slice(0, 200) });
}

/** What is written to a connection that sent no complete request: not HTTP, too large a head, or too slow. */
export function connectionAnswer(code: string | undefined): string {
  const [status, title] = CONNECTION_FAULTS.get(code ?? '') ?? [400, 'Bad Request'];
  const message = `The request is not valid HTTP: ${title} (${code ?? 'unknown'}).`;
  const body = JSON.stringify({ error: { code: status, status: 'INVALID_ARGUMENT', message, details: [] } });
  const head = ['content-type: application/json; charset=utf-8', `content-length: ${Buffer.byteLength(body)}`, 'connection: close'];
  return `HTTP/1.1 ${status} ${title}\r\n${head.join('\r\n')}\r\n\r\n${body}`;
}

const CONNECTION_FAULTS: ReadonlyMap<string, readonly [number, string]> = new Map([
  ['ERR_HTTP_REQUEST_TIMEOUT', [408, 'Request Timeout']],
  ['HPE_HEADER_OVERFLOW', [431, 'Request Header Fields Too Large']],
]);
