import { createHash } from 'node:crypto';
import type { Access } from '@evenfall/access';
import { isRefusal, refuse, type Refusal } from '@evenfall/errors';
import { type Clock, delay } from '@evenfall/time';
import type { Log } from '@evenfall/telemetry';
import { errors, type JWTPayload, jwtVerify, type JWTVerifyResult } from 'jose';
import { accessOfClaims } from '../../domain/token-rights.ts';
import type { TokenSettings } from '../../domain/token-settings.ts';
import type { Tokens } from '../../ports.ts';
import { type FetchKeys, fetchKeys } from './fetch-keys.ts';
import { createIssuerKeys, type KeySet } from './issuer-keys.ts';

/** Signatures by keys with a public half. A secret that both sides know is none of them: it would make the issuer's public key one. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'];
/** Characters of a token: a head of a request has 16 KB in all. */
const MAX_TOKEN = 8 * 1024;
/** By how much the clock of the issuer may differ. */
const TOLERANCE_S = 10;
/** Tokens that are remembered; the one that was not used for longest goes first. */
const MOST_KNOWN = 10_000;
const EXPIRY_LOOK_MS = 1_000;

/** Tokens of one issuer, and why they cannot be checked now, for people. */
export type TokensOfIssuer = Omit<Tokens, 'notes'> & { note(): string | undefined; run(signal: AbortSignal): Promise<void> };

type Known = {
  readonly access: Access;
  readonly untilMs: number;
  readonly kid: string | undefined;
  /** The keys it may be signed with, as text. */
  readonly keyText: string | undefined;
  /** Of a token with open streams, or that had some. */
  end: AbortController | undefined;
};

/** Checks tokens of one issuer, and remembers those that are good until they expire, or until their key is gone. */
export function createTokens(
  settings: TokenSettings,
  { clock, log, fetch = fetchKeys }: { readonly clock: Clock; readonly log: Log; readonly fetch?: FetchKeys },
): TokensOfIssuer {
  const known = new Map<string, Known>();
  const checking = new Map<string, Promise<Access>>();
  const byAccess = new WeakMap<Access, Known>();
  const withStreams = new Set<Known>();
  const finish = (one: Known): void => {
    one.end?.abort();
    withStreams.delete(one);
  };
  const endThose = (isOver: (one: Known) => boolean): void => {
    for (const one of withStreams) if (isOver(one)) finish(one);
  };
  const keys = createIssuerKeys({
    issuer: settings.issuer,
    maxAgeMs: settings.keysMaxAgeMs,
    fetchKeys: fetch,
    clock,
    log,
    onChange(set) {
      const isGone = ({ kid, keyText }: Known): boolean => keyText === undefined || set.textOf(kid) !== keyText;
      for (const [digest, one] of known) if (isGone(one)) known.delete(digest);
      endThose(isGone);
    },
  });

  const verify = async (token: string, digest: string): Promise<Access> => {
    const one = await checkedToken(token, settings, { clock, keys, log });
    if (known.size >= MOST_KNOWN) known.delete(known.keys().next().value ?? '');
    known.set(digest, one);
    byAccess.set(one.access, one);
    return one.access;
  };
  const find = (token: string): { readonly digest: string; readonly access: Access | undefined } => {
    if (token.length > MAX_TOKEN) throw refuse('UNAUTHENTICATED', { detail: `the token has more than ${MAX_TOKEN} characters` });
    const digest = createHash('sha256').update(token).digest('base64');
    const one = known.get(digest);
    if (one && one.untilMs <= clock.now()) known.delete(digest);
    if (!one || one.untilMs <= clock.now() || !keys.current()) return { digest, access: undefined };
    known.delete(digest);
    known.set(digest, one); // the newest again
    return { digest, access: one.access };
  };
  return {
    check(token) {
      const { digest, access } = find(token);
      if (access) return access;
      let check = checking.get(digest);
      if (!check) checking.set(digest, (check = verify(token, digest).finally(() => checking.delete(digest))));
      return check;
    },
    known(token) {
      const { access } = find(token);
      if (!access) throw keys.current() ? refuse('UNAUTHENTICATED', { detail: 'the token is not good any more' }) : unavailable();
      return access;
    },
    endOf(access) {
      const one = byAccess.get(access);
      if (!one) return undefined;
      if (one.untilMs <= clock.now()) return AbortSignal.abort();
      one.end ??= new AbortController();
      if (!one.end.signal.aborted) withStreams.add(one);
      return one.end.signal;
    },
    note: keys.note,
    async run(signal) {
      const looking = (async () => {
        while (!signal.aborted) {
          await delay(EXPIRY_LOOK_MS, signal);
          const nowMs = clock.now();
          endThose(({ untilMs }) => untilMs <= nowMs);
        }
      })();
      await Promise.all([keys.run(signal), looking]);
    },
  };
}

const NO_KEY = 'the token is signed with a key that its issuer does not have';

type Keys = { current(): KeySet | undefined; refresh(): Promise<boolean> };

/** Checks a token completely. Refusals: UNAUTHENTICATED, TOKEN_WITHOUT_ROLE, SERVICE_UNAVAILABLE. */
async function checkedToken(
  token: string,
  settings: TokenSettings,
  { clock, keys, log }: { readonly clock: Clock; readonly keys: Keys; readonly log: Log },
): Promise<Known> {
  if (!keys.current()) await keys.refresh();
  const first = keys.current();
  if (!first) throw unavailable();
  const { set, verified } = await verifiedBy(first, token, settings, { clock, keys, log });
  const leftMs = expiryOf(verified.payload) * 1_000 - clock.now();
  if (leftMs > settings.maxLifetimeMs + TOLERANCE_S * 1_000)
    throw refuse('UNAUTHENTICATED', { detail: 'the token is good for longer than EVENFALL_OIDC_MAX_LIFETIME allows' });
  const access = accessOfClaims(verified.payload, settings.rights, settings.name);
  if (isRefusal(access)) throw access;
  const named: unknown = verified.protectedHeader.kid; // not checked yet
  const kid = typeof named === 'string' ? named : undefined; // otherwise it names no key
  // Its key may have been withdrawn while it was checked.
  if (keys.current()?.textOf(kid) !== set.textOf(kid)) throw refuse('UNAUTHENTICATED', { detail: NO_KEY });
  const untilMs = (expiryOf(verified.payload) + TOLERANCE_S) * 1_000;
  return { access, untilMs, kid, keyText: set.textOf(kid), end: undefined };
}

/** Checks signature and claims. A key that is not known may be a new one: the issuer is asked, not too often. */
async function verifiedBy(
  set: KeySet,
  token: string,
  { issuer, audience }: TokenSettings,
  { clock, keys, log }: { readonly clock: Clock; readonly keys: Keys; readonly log: Log },
): Promise<{ readonly set: KeySet; readonly verified: JWTVerifyResult }> {
  const options = {
    issuer,
    audience,
    algorithms: ALGORITHMS,
    clockTolerance: TOLERANCE_S,
    requiredClaims: ['exp', 'sub'],
    currentDate: new Date(clock.now()),
  };
  try {
    return { set, verified: await jwtVerify(token, set.find, options) };
  } catch (error) {
    const newer = error instanceof errors.JWKSNoMatchingKey && (await keys.refresh()) ? keys.current() : undefined;
    if (!newer) throw refusalOf(error, set, log);
    try {
      return { set: newer, verified: await jwtVerify(token, newer.find, options) };
    } catch (again) {
      throw refusalOf(again, newer, log);
    }
  }
}

/** `jwtVerify` has seen that it is a number. */
function expiryOf({ exp = 0 }: JWTPayload): number {
  return exp;
}

function unavailable(): Refusal {
  return refuse('SERVICE_UNAVAILABLE', { detail: 'the keys of the token issuer cannot be fetched' });
}

/** Sets of keys of which one was no use, and that was said to the log. */
const saidOf = new WeakSet<KeySet>();

/** Why a token is turned away. What is no fault of a token is one of a key: too short, or not what it says. */
function refusalOf(error: unknown, set: KeySet, log: Log): Refusal {
  if (error instanceof errors.JOSEError) return refuse('UNAUTHENTICATED', { detail: detailOf(error) });
  if (!saidOf.has(set)) log.warn('a key of the token issuer cannot be used', { error: String(error).slice(0, 300) });
  saidOf.add(set);
  return refuse('UNAUTHENTICATED', { detail: 'the token is signed with a key that cannot be used' });
}

function detailOf(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'the token has expired';
  if (error instanceof errors.JWTClaimValidationFailed)
    return `the claim "${error.claim.slice(0, 40)}" of the token is not what is asked for`;
  if (error instanceof errors.JOSEAlgNotAllowed) return 'the token is signed by an algorithm that is not allowed';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'the signature of the token is wrong';
  if (error instanceof errors.JWKSNoMatchingKey) return NO_KEY;
  if (error instanceof errors.JWKSMultipleMatchingKeys) return 'the token does not say which of the keys of its issuer it is signed with';
  return 'the token is not valid';
}
