import type { PeerCertificate, TLSSocket } from 'node:tls';
import { refuse } from '@evenfall/errors';
import { identitiesOf } from '@evenfall/peer-identity';

/** The header by which a handler learns who calls, by certificate. What a caller sends under this name is dropped. */
export const CALLER_HEADER = 'evenfall-caller';

type Known = { readonly identity: string; readonly expiresMs: number };

const known = new WeakMap<object, Known>();

/**
 * Who is at the other end of a connection, by its certificate, which TLS has checked. Asked for every call: a connection outlives its certificate. Throws
 * UNAUTHENTICATED for one that has no identity, or has run out.
 */
export function callerOf(socket: object | undefined): string | undefined {
  if (!socket || !isTls(socket)) return undefined;
  let caller = known.get(socket);
  if (!caller) known.set(socket, (caller = read(socket.getPeerCertificate())));
  if (caller.expiresMs <= Date.now()) throw refuse('UNAUTHENTICATED', { detail: 'the certificate of this connection has run out' });
  return caller.identity;
}

function read(certificate: PeerCertificate): Known {
  const identities = identitiesOf(certificate.subjectaltname);
  const [identity] = identities;
  if (identity === undefined || identities.length !== 1)
    throw refuse('UNAUTHENTICATED', { detail: 'the certificate has not one identity' });
  const expiresMs = Date.parse(certificate.valid_to);
  return { identity, expiresMs: Number.isNaN(expiresMs) ? 0 : expiresMs };
}

function isTls(socket: object): socket is TLSSocket {
  // The socket of an HTTP/2 session is a proxy, which has what it has only when it is read.
  return typeof (socket as Partial<TLSSocket>).getPeerCertificate === 'function';
}
