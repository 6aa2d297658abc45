import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Access, ADMIN_OF_ALL, ANONYMOUS } from '@evenfall/access';
import { refuse } from '@evenfall/errors';
import type { HeldSecret, KeyRing, Tokens } from '../ports.ts';

/** One access key of the settings. */
export type AccessKey = { readonly id: string; readonly secret: string };

/** What a call without a key may do, with EVENFALL_OPEN. */
export const OPEN_ACCESS: Access = { id: ANONYMOUS, ...ADMIN_OF_ALL };

/** Finds the caller by its Authorization header. Throws UNAUTHENTICATED, TOKEN_WITHOUT_ROLE, or SERVICE_UNAVAILABLE where the key cannot be checked now. */
export type Authenticator = {
  /** The caller of a call that begins. */
  admit(authorization: string | undefined): Access | Promise<Access>;
  /** The caller of a call that was admitted before, at once: its key may have expired since. */
  admitted(authorization: string | undefined): Access;
};

const TOKEN = /^bearer +([\w-]+\.[\w-]+\.[\w-]+) *$/i;

/**
 * Makes the check of callers. Secrets are compared by digest and in constant time, and one is compared whether the id is known or not, so that neither
 * the beginning of a secret nor an id can be measured. Text of the form of a token is one, where there is an issuer. With EVENFALL_OPEN every call is admitted.
 */
export function authenticator(keys: KeyRing, isOpen: boolean, nowMs: () => number, tokens?: Tokens): Authenticator {
  if (isOpen) return { admit: () => OPEN_ACCESS, admitted: () => OPEN_ACCESS };
  const byKey = keyCheck(keys, nowMs);
  const tokenIn = (authorization = ''): string | undefined => TOKEN.exec(authorization)?.[1];
  return {
    admit(authorization) {
      const token = tokens && tokenIn(authorization);
      return tokens && token !== undefined ? tokens.check(token) : byKey(authorization);
    },
    admitted(authorization) {
      const token = tokens && tokenIn(authorization);
      return tokens && token !== undefined ? tokens.known(token) : byKey(authorization);
    },
  };
}

function keyCheck(keys: KeyRing, nowMs: () => number): (authorization: string | undefined) => Access {
  const noSecret: readonly HeldSecret[] = [{ sha256: randomBytes(32), scf: undefined, untilMs: Infinity, access: OPEN_ACCESS }];
  return (authorization) => {
    if (authorization === undefined || authorization === '')
      throw refuse('UNAUTHENTICATED', { detail: 'send "Authorization: Bearer id:secret"' });
    const [, id, secret = ''] = /^bearer +([^\s:]+):(\S+) *$/i.exec(authorization) ?? [];
    if (id === undefined) throw refuse('UNAUTHENTICATED', { detail: 'the Authorization header is not of the form "Bearer id:secret"' });
    const held = keys.find(id);
    const digest = createHash('sha256').update(secret).digest();
    const now = nowMs();
    let right: HeldSecret | undefined;
    for (const one of held?.secrets ?? noSecret) if (timingSafeEqual(one.sha256, digest) && one.untilMs > now) right = one;
    if (!held && !keys.isWatching) throw refuse('SERVICE_UNAVAILABLE', { detail: 'access keys cannot be looked up' });
    if (!held || !right) throw refuse('UNAUTHENTICATED', { detail: 'the access key is not known' });
    if (held.untilMs <= now) throw refuse('UNAUTHENTICATED', { detail: 'the access key has expired' });
    return right.access;
  };
}

/** A key that signs: its secrets, of which there are two while one takes the place of the other. */
export type Signer = { readonly secrets: readonly { readonly secret: string; readonly access: Access }[] };

/** The key that a signature names; undefined if there is none that can sign now. */
export function signerNamed(keys: KeyRing, id: string, nowMs: number): Signer | undefined {
  const held = keys.find(id);
  if (!held || held.untilMs <= nowMs) return undefined;
  const secrets = held.secrets.flatMap(({ scf, untilMs, access }) =>
    scf !== undefined && untilMs > nowMs ? [{ secret: scf, access }] : [],
  );
  return secrets.length === 0 ? undefined : { secrets };
}
