import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Access } from '@evenfall/access';
import { OPEN_ACCESS, type Signer } from '../access.ts';
import { missing, scfError } from './codes.ts';
import { checkTimestamp, type Headers, hostOf, WINDOW_MS } from './signature.ts';

const HASHES: Readonly<Record<string, 'sha1' | 'sha256'>> = { HmacSHA1: 'sha1', HmacSHA256: 'sha256' };

/** A form, as its pairs. */
export type Form = ReadonlyMap<string, string>;

/** What every form holds besides the action's own parameters. */
const COMMON = new Set([
  'Action',
  'Version',
  'Timestamp',
  'Nonce',
  'Region',
  'SecretId',
  'Signature',
  'SignatureMethod',
  'Token',
  'Language',
  'RequestClient',
]);

/** The parameters of the action that a form names. */
export function parametersOfForm(form: Form): (readonly [string, string])[] {
  return [...form].filter(([name]) => !COMMON.has(name));
}

/** Names and values of one form at most: more than any action has parameters. */
const MAX_PAIRS = 2_000;
const AMPERSAND = 0x26;
/** Forms up to this size are read for any id, so that an unknown id is answered as late as a known one. */
const SMALL_BYTES = 16 * 1024;
/** Signatures remembered at most; only the holder of a key can make valid ones. */
const MOST_REMEMBERED = 100_000;

/** Reads a form; of a name that occurs twice the last value applies. */
export function readForm(body: Buffer): Form {
  return new Map(new URLSearchParams(body.toString('utf8')));
}

/** Whether a form is to be read at all, by one pass over its bytes: it does not have too many parts, and names a known key. */
function isWorthReading(body: Buffer, knows: (secretId: string) => boolean): boolean {
  let pairs = 1;
  for (let at = body.indexOf(AMPERSAND); at >= 0; at = body.indexOf(AMPERSAND, at + 1)) if (++pairs > MAX_PAIRS) return false;
  if (body.length <= SMALL_BYTES) return true;
  return knows(idWithin(body));
}

/** The id that a form names, found by one pass over its bytes. */
function idWithin(body: Buffer): string {
  const name = 'SecretId=';
  const isFirst = body.subarray(0, name.length).toString('latin1') === name;
  const at = isFirst ? name.length : body.indexOf(`&${name}`) + 1 + name.length;
  if (!isFirst && at === name.length) return '';
  return /^[\w.-]{1,64}/.exec(body.subarray(at, at + 65).toString('latin1'))?.[0] ?? '';
}

/** A form whose sender is known. */
export type SignedForm = { readonly form: Form; readonly access: Access };

/**
 * Makes the check of HmacSHA1 and HmacSHA256 signatures (Tencent Cloud API, "Signature v1"), which SDKs send in a form when they are configured to.
 * Returns the form and what the key may do. A signature is accepted once: it has a nonce in it. Without keys no form is accepted: one that is not signed
 * may be that of any web page.
 */
export function formSignatureCheck(
  signerOf: (id: string) => Signer | undefined,
  nowMs: () => number,
): (headers: Headers, body: Buffer) => SignedForm {
  const noKey = [{ secret: randomBytes(24).toString('hex'), access: OPEN_ACCESS }];
  const isFresh = freshness(nowMs);
  return (headers, body) => {
    if (!isWorthReading(body, (id) => signerOf(id) !== undefined)) throw scfError('AuthFailure.SignatureFailure');
    const form = readForm(body);
    const needed = (name: string): string => {
      const value = form.get(name);
      if (value === undefined || value === '') throw missing(name);
      return value;
    };
    const secretId = needed('SecretId');
    const signature = Buffer.from(needed('Signature'), 'base64');
    needed('Nonce');
    if ((form.get('Token') ?? '') !== '') throw scfError('AuthFailure.TokenFailure');
    const signer = signerOf(secretId);
    checkTimestamp(needed('Timestamp'), nowMs());
    const hash = HASHES[form.get('SignatureMethod') ?? 'HmacSHA1'];
    if (!hash) throw scfError('AuthFailure.InvalidAuthorization', 'The `SignatureMethod` is HmacSHA1 or HmacSHA256.');
    const names = [...form.keys()].filter((name) => name !== 'Signature').sort();
    const pairs = names.map((name) => `${name}=${form.get(name) ?? ''}`).join('&');
    let right: Access | undefined;
    for (const withPort of [true, false]) {
      for (const { secret, access } of signer?.secrets ?? noKey) {
        const expected = createHmac(hash, secret)
          .update(`POST${hostOf(headers, withPort)}/?${pairs}`)
          .digest();
        if (expected.length === signature.length && timingSafeEqual(expected, signature)) right = access;
      }
    }
    if (!right || !signer) throw scfError('AuthFailure.SignatureFailure');
    if (!isFresh(`${secretId} ${signature.toString('base64')}`))
      throw scfError('AuthFailure.SignatureFailure', 'The request was sent before.');
    return { form, access: right };
  };
}

/** Makes the check that a signature is new, within the time in which a timestamp is accepted. */
function freshness(nowMs: () => number): (signature: string) => boolean {
  const untilMs = new Map<string, number>(); // in the order of arrival
  return (signature) => {
    const now = nowMs();
    for (const [old, until] of untilMs) {
      if (until > now) break;
      untilMs.delete(old);
    }
    if (untilMs.has(signature)) return false;
    if (untilMs.size >= MOST_REMEMBERED) throw scfError('RequestLimitExceeded', 'Too many signed forms; try again in a few minutes.');
    untilMs.set(signature, now + 2 * WINDOW_MS);
    return true;
  };
}
