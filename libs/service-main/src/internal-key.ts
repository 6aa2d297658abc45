import { createHash, timingSafeEqual } from 'node:crypto';
import { refuse } from '@evenfall/errors';
import type { CallHead } from '@evenfall/rpc';

/** What a caller sends; nothing where there is no key. */
export function internalHeaders(key: string | undefined): Readonly<Record<string, string>> {
  return key === undefined ? {} : { authorization: `Bearer ${key}` };
}

/** Refuses callers that do not send the key; compared by digest and in constant time. undefined where there is no key. */
export function internalGuard(key: string | undefined): ((head: Pick<CallHead, 'header'>) => void) | undefined {
  if (key === undefined) return undefined;
  const expected = digestOf(`Bearer ${key}`);
  return (head) => {
    const sent = head.header('authorization');
    if (sent === undefined || !timingSafeEqual(digestOf(sent), expected)) {
      throw refuse('UNAUTHENTICATED', { detail: 'this port is for services that know EVENFALL_INTERNAL_KEY' });
    }
  };
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
