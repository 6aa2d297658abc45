import { createHmac, timingSafeEqual } from 'node:crypto';
import type { AccessKey } from '../access.ts';
import { missing, scfError } from './codes.ts';
import { checkTimestamp, type Headers, hostOf } from './signature.ts';

const HASHES: Readonly<Record<string, 'sha1' | 'sha256'>> = { HmacSHA1: 'sha1', HmacSHA256: 'sha256' };

/** A form, as its pairs. */
export type Form = ReadonlyMap<string, string>;

/** Reads a form; of a name that comes twice the last counts. */
export function readForm(body: Buffer): Form {
  return new Map(new URLSearchParams(body.toString('utf8')));
}

/**
 * Makes the check of HmacSHA1 and HmacSHA256 signatures (Tencent Cloud API, "Signature v1"), which SDKs send in a form when they are told to.
 * Answers the id of the key. Without keys nothing is let in: a form that is not signed may be that of any web page.
 */
export function formSignatureCheck(keys: readonly AccessKey[], nowMs: () => number): (headers: Headers, form: Form) => string {
  const secrets = new Map(keys.map(({ id, secret }) => [id, secret]));
  return (headers, form) => {
    const needed = (name: string): string => {
      const value = form.get(name);
      if (value === undefined || value === '') throw missing(name);
      return value;
    };
    const secretId = needed('SecretId');
    const signature = Buffer.from(needed('Signature'), 'base64');
    if ((form.get('Token') ?? '') !== '') throw scfError('AuthFailure.TokenFailure');
    const secret = secrets.get(secretId);
    if (secret === undefined) throw scfError('AuthFailure.SecretIdNotFound');
    checkTimestamp(needed('Timestamp'), nowMs());
    const hash = HASHES[form.get('SignatureMethod') ?? 'HmacSHA1'];
    if (!hash) throw scfError('AuthFailure.InvalidAuthorization', 'The `SignatureMethod` is HmacSHA1 or HmacSHA256.');
    const names = [...form.keys()].filter((name) => name !== 'Signature').sort();
    const pairs = names.map((name) => `${name}=${form.get(name) ?? ''}`).join('&');
    for (const withPort of [true, false]) {
      const expected = createHmac(hash, secret)
        .update(`POST${hostOf(headers, withPort)}/?${pairs}`)
        .digest();
      if (expected.length === signature.length && timingSafeEqual(expected, signature)) return secretId;
    }
    throw scfError('AuthFailure.SignatureFailure');
  };
}
