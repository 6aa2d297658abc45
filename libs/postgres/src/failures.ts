import { refuse, type Refusal } from '@evenfall/errors';

const CONNECTION_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOENT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'CONNECTION_CLOSED',
  'CONNECTION_ENDED',
  'CONNECTION_DESTROYED',
  'CONNECT_TIMEOUT',
  'CONNECTION_CONNECT_TIMEOUT',
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '53300', // too_many_connections
]);

/** Whether the server could not be reached, or went away in the middle. */
export function isConnectionFailure(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && (CONNECTION_CODES.has(code) || code.startsWith('08'));
}

/** Errors of JavaScript that a parameter causes: it cannot be made a text, or is too long for one. */
const PARAMETER_CODES = new Set(['ERR_STRING_TOO_LONG', 'ERR_INVALID_ARG_TYPE', 'ERR_OUT_OF_RANGE', 'ERR_BUFFER_TOO_LARGE']);

/**
 * Whether a statement was refused for the data in it, so that the same data will be refused again: a data exception (22), a constraint (23), a
 * limit of the server (54), or a parameter that cannot be sent. Not what a lost, full or busy
 * server answers, nor a missing table.
 */
export function isDataRefused(error: unknown): boolean {
  if (error instanceof RangeError) return true;
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && (/^(22|23|54)...$/.test(code) || PARAMETER_CODES.has(code));
}

/** Turns a lost server into the given refusal; leaves anything else as it is. */
export function postgresRefusal(error: unknown, reason: 'VIEW_UNAVAILABLE' | 'LOG_UNAVAILABLE' | 'SERVICE_UNAVAILABLE'): unknown {
  if (!isConnectionFailure(error)) return error;
  const refusal: Refusal = refuse(reason, { detail: 'the database cannot be reached' });
  return refusal;
}
