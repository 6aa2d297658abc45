import type { ServerHttp2Session } from 'node:http2';
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { refuse } from '@evenfall/errors';
import { capacityOf, identitiesOf } from '@evenfall/peer-identity';

/** The header by which a handler learns who calls, by certificate. What a caller sends under this name is dropped. */
export const CALLER_HEADER = 'evenfall-caller';

/** The header by which a handler learns how many megabytes the certificate of an agent says that it counts for at most. Dropped in the same way. */
export const CALLER_CAPACITY_HEADER = 'evenfall-caller-capacity-mb';

export type Caller = { readonly identity: string; readonly capacityMb: number | undefined };
type Known = Caller & { readonly expiresMs: number };

const known = new WeakMap<object, Known>();

/** Before a certificate runs out new calls are asked to come by another connection: for so long, or a tenth of what it has left when it connects. */
const SOON_MS = 60_000;
const SOON_SHARE = 0.1;
const MOST_TIMER_MS = 2 ** 31 - 1;

/**
 * Who is at the other end of a connection, by its certificate, which TLS has checked. Asked for every call: a connection could outlive its certificate. Throws
 * UNAUTHENTICATED for one that has no identity, or has run out. The connection ends with its certificate, and with it what goes on by it: a caller
 * that has a new one by then comes by another connection.
 */
export function callerOf(session: ServerHttp2Session | undefined): Caller | undefined {
  const socket = session?.socket;
  if (!session || !socket || !isTls(socket)) return undefined;
  let caller = known.get(session);
  if (!caller) {
    caller = read(socket.getPeerCertificate());
    known.set(session, caller);
    endWith(session, caller.expiresMs);
  }
  if (caller.expiresMs <= Date.now()) throw refuse('UNAUTHENTICATED', { detail: 'the certificate of this connection has run out' });
  return caller;
}

function endWith(session: ServerHttp2Session, expiresMs: number): void {
  const soonMs = Math.min(SOON_MS, (expiresMs - Date.now()) * SOON_SHARE);
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    const leftMs = expiresMs - Date.now();
    if (leftMs <= 0) return session.destroy();
    if (leftMs <= soonMs) session.close(); // calls under way go on
    timer = setTimeout(look, Math.min(leftMs <= soonMs ? leftMs : leftMs - soonMs, MOST_TIMER_MS));
    timer.unref();
  };
  session.once('close', () => clearTimeout(timer));
  look();
}

function read(certificate: PeerCertificate): Known {
  const identities = identitiesOf(certificate.subjectaltname);
  const [identity] = identities;
  if (identity === undefined || identities.length !== 1)
    throw refuse('UNAUTHENTICATED', { detail: 'the certificate has not one identity' });
  const expiresMs = Date.parse(certificate.valid_to);
  return { identity, capacityMb: capacityOf(certificate.subjectaltname), expiresMs: Number.isNaN(expiresMs) ? 0 : expiresMs };
}

function isTls(socket: object): socket is TLSSocket {
  // The socket of an HTTP/2 session is a proxy, which has what it has only when it is read.
  return typeof (socket as Partial<TLSSocket>).getPeerCertificate === 'function';
}
