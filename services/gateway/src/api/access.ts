import { createHash, timingSafeEqual } from 'node:crypto';
import { refuse } from '@evenfall/errors';

/** One access key. */
export type AccessKey = { readonly id: string; readonly secret: string };

/** Who a call without a key comes from, where the doors are open. */
export const ANONYMOUS = 'anonymous';

/** Says who calls, from an Authorization header; throws UNAUTHENTICATED. */
export type Authenticate = (authorization: string | undefined) => string;

/**
 * Makes the check of the doors. Every key is compared, by digest and in constant time, so that neither the length nor the beginning of a
 * secret can be measured. Open doors let everybody in.
 */
export function authenticator(keys: readonly AccessKey[], isOpen: boolean): Authenticate {
  if (isOpen) return () => ANONYMOUS;
  const known = keys.map((key) => ({ id: key.id, digest: digestOf(`${key.id}:${key.secret}`) }));
  return (authorization) => {
    if (authorization === undefined || authorization === '')
      throw refuse('UNAUTHENTICATED', { detail: 'send "Authorization: Bearer id:secret"' });
    const token = /^bearer +(\S+) *$/i.exec(authorization)?.[1];
    if (token === undefined) throw refuse('UNAUTHENTICATED', { detail: 'the Authorization header is not of the form "Bearer id:secret"' });
    const digest = digestOf(token);
    let found: string | undefined;
    for (const key of known) if (timingSafeEqual(key.digest, digest)) found = key.id;
    if (found === undefined) throw refuse('UNAUTHENTICATED', { detail: 'the access key is not known' });
    return found;
  };
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
