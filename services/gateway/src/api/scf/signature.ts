import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Access } from '@evenfall/access';
import { OPEN_ACCESS, type Signer } from '../access.ts';
import { missing, scfError } from './codes.ts';

const ALGORITHM = 'TC3-HMAC-SHA256';
/** How far clocks may differ (AuthFailure.SignatureExpire). */
const WINDOW_S = 300;
export const WINDOW_MS = WINDOW_S * 1_000;
/** What the Go SDK signs instead of the body's digest when it is configured not to read the body. */
const UNSIGNED = 'UNSIGNED-PAYLOAD';

/** Headers of a request, by their names in lower case. */
export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** The claim of a caller to hold a key, and the check of it once the body is received. */
export type Claim = {
  /** Whether there is such a key. No answer shows it: an unknown key is answered like a wrong signature, and as late. */
  readonly isKnown: boolean;
  /** Checks the SHA-256 of the body, in hex; answers what the key may do. Throws AuthFailure.SignatureFailure. */
  prove(sha256OfBody: string): Access;
};

/**
 * Makes the check of TC3-HMAC-SHA256 signatures (Tencent Cloud API, "Signature v3"). All that can be checked without the body is checked first, so
 * that callers without a key use little time. With EVENFALL_OPEN every request is accepted, signed or not.
 */
export function signatureCheck(
  { signerOf, isOpen }: { readonly signerOf: (id: string) => Signer | undefined; readonly isOpen: boolean },
  nowMs: () => number,
): (headers: Headers) => Claim {
  if (isOpen) return () => ({ isKnown: true, prove: () => OPEN_ACCESS });
  const noKey = [{ secret: randomBytes(24).toString('hex'), access: OPEN_ACCESS }];
  return (headers) => {
    const { secretId, date, service, signedHeaders, signature } = readAuthorization(textOf(headers, 'authorization'));
    if (textOf(headers, 'x-tc-token') !== '') throw scfError('AuthFailure.TokenFailure');
    const timestamp = textOf(headers, 'x-tc-timestamp');
    if (timestamp === '') throw missing('Timestamp');
    checkTimestamp(timestamp, nowMs());
    if (new Date(Number(timestamp) * 1_000).toISOString().slice(0, 10) !== date) {
      throw scfError('AuthFailure.SignatureFailure', 'The date of the credential scope is not that of the timestamp in UTC.');
    }
    const scope = `${date}/${service}/tc3_request`;
    const isKnown = signerOf(secretId) !== undefined;
    return {
      isKnown,
      prove(sha256OfBody) {
        const signer = isKnown ? signerOf(secretId) : undefined; // its key may have expired while the body was received
        const keys = (signer?.secrets ?? noKey).map(({ secret, access }) => ({
          access,
          key: hmac(hmac(hmac(`TC3${secret}`, date), service), 'tc3_request'),
        }));
        const digest = textOf(headers, 'x-tc-content-sha256') === UNSIGNED ? sha256(UNSIGNED) : sha256OfBody;
        let right: Access | undefined;
        for (const canonicalHeaders of headerBlocks(headers, signedHeaders)) {
          const canonical = `POST\n/\n\n${canonicalHeaders}\n${signedHeaders.join(';')}\n${digest}`;
          for (const { key, access } of keys) {
            const expected = hmac(key, `${ALGORITHM}\n${timestamp}\n${scope}\n${sha256(canonical)}`);
            if (timingSafeEqual(expected, signature)) right = access;
          }
        }
        if (!right || !signer) throw scfError('AuthFailure.SignatureFailure');
        return right;
      },
    };
  };
}

/** Refuses a timestamp that is none, or one of another time. */
export function checkTimestamp(timestamp: string, nowMs: number): void {
  if (!/^\d{1,12}$/.test(timestamp) || Math.abs(Number(timestamp) - nowMs / 1_000) > WINDOW_S)
    throw scfError('AuthFailure.SignatureExpire');
}

function readAuthorization(header: string) {
  const form =
    /^TC3-HMAC-SHA256 +Credential=([^/,\s]{1,128})\/(\d{4}-\d{2}-\d{2})\/([^/,\s]{1,128})\/tc3_request, *SignedHeaders=([\w;-]{1,1024}), *Signature=([0-9a-f]{64})$/;
  const [, secretId = '', date = '', service = '', names = '', signature = ''] = form.exec(header) ?? [];
  const signedHeaders = names.split(';');
  if (signature === '' || !['content-type', 'host'].every((name) => signedHeaders.includes(name))) {
    throw scfError(
      'AuthFailure.InvalidAuthorization',
      'It has a credential, the signed headers (content-type and host among them) and a signature.',
    );
  }
  return { secretId, date, service, signedHeaders, signature: Buffer.from(signature, 'hex') };
}

/**
 * The signed headers as clients may have signed them. The SDK for Node signs the host without its port and sends it with one, that for Go
 * signs both; the documented recipe signs values in lower case, others sign them as they are.
 */
function headerBlocks(headers: Headers, names: readonly string[]): string[] {
  const blocks = new Set<string>();
  for (const withPort of [true, false]) {
    for (const lower of [true, false]) {
      let block = '';
      for (const name of names) {
        const value = name === 'host' ? hostOf(headers, withPort) : textOf(headers, name).trim();
        block += `${name}:${lower ? value.toLowerCase() : value}\n`;
      }
      blocks.add(block);
    }
  }
  return [...blocks];
}

/** The host a request names; without its port, if that is asked for. */
export function hostOf(headers: Headers, withPort: boolean): string {
  const host = textOf(headers, 'host');
  return withPort ? host : host.replace(/:\d+$/, '');
}

export function textOf(headers: Headers, name: string): string {
  const value = headers[name];
  return typeof value === 'string' ? value : '';
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}
