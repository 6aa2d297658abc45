import { createHash } from 'node:crypto';
import { refuse } from '@evenfall/errors';

/** Makes the token of the next page: where this one ended, and what it was a page of. */
export function pageToken(after: string, ...filter: readonly string[]): string {
  return Buffer.from(JSON.stringify([hashOf(filter), after])).toString('base64url');
}

/** Where the page before ended; empty for the first. Throws INVALID_PAGE_TOKEN for a token of another request, or of a key that cannot be. */
export function readPageToken(token: string, isKey: RegExp, ...filter: readonly string[]): string {
  if (token === '') return '';
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (Array.isArray(parts) && parts.length === 2 && parts[0] === hashOf(filter) && typeof parts[1] === 'string' && isKey.test(parts[1]))
      return parts[1];
  } catch {
    // not one of ours: refused below
  }
  throw refuse('INVALID_PAGE_TOKEN');
}

function hashOf(filter: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(filter)).digest('base64url').slice(0, 12);
}
