import { createHash } from 'node:crypto';
import { refuse } from '@evenfall/errors';

/** Makes the token of the next page: where this one ended, and what it was a page of. */
export function pageToken(after: string, ...filter: readonly string[]): string {
  return Buffer.from(JSON.stringify([hashOf(filter), after])).toString('base64url');
}

/** Where the page before ended; empty for the first. Refuses a token of another request. */
export function readPageToken(token: string, ...filter: readonly string[]): string {
  if (token === '') return '';
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, 'base64url').toString('utf8'));
    if (
      Array.isArray(parts) &&
      parts.length === 2 &&
      parts[0] === hashOf(filter) &&
      typeof parts[1] === 'string' &&
      /^[\w-]+$/.test(parts[1])
    )
      return parts[1];
  } catch {
    // not one of ours: refused below
  }
  throw refuse('INVALID_PAGE_TOKEN');
}

/** The page size meant: 0 is 20, more than 100 is 100. */
export function pageSizeOf(asked: number): number {
  if (asked < 0) throw refuse('INVALID_FIELD', { field: 'page_size', rule: 'a whole number from 1 to 100' });
  return asked === 0 ? 20 : Math.min(asked, 100);
}

function hashOf(filter: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(filter)).digest('base64url').slice(0, 12);
}
