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

/** Turns a lost server into the given refusal; leaves anything else as it is. */
export function postgresRefusal(error: unknown, reason: 'VIEW_UNAVAILABLE' | 'LOG_UNAVAILABLE' | 'SERVICE_UNAVAILABLE'): unknown {
  if (!isConnectionFailure(error)) return error;
  const refusal: Refusal = refuse(reason, { detail: 'the database cannot be reached' });
  return refusal;
}
