import type { JSONWebKeySet, JWK } from 'jose';
import { isTrustworthy } from '../../domain/token-settings.ts';

/** Fetches the keys that an issuer signs with; rejects if it cannot be reached, or says what cannot be. */
export type FetchKeys = (issuer: string) => Promise<JSONWebKeySet>;

const WITHIN_MS = 5_000;
const MAX_BYTES = 256 * 1024;
const MOST_KEYS = 100;
/** Kinds of keys that something is signed with and whose public half is known to all: none that is a secret. */
const KINDS: ReadonlySet<unknown> = new Set(['RSA', 'EC', 'OKP']);

/** Finds the keys by discovery (OpenID Connect Discovery 1.0 §4). */
export const fetchKeys: FetchKeys = async (issuer) => {
  const signal = AbortSignal.timeout(WITHIN_MS);
  const discovery = await jsonAt(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`, signal);
  if (discovery['issuer'] !== issuer)
    throw new Error(`the discovery document is of another issuer: ${String(discovery['issuer']).slice(0, 200)}`);
  const address = discovery['jwks_uri'];
  if (typeof address !== 'string' || !isTrustworthy(address)) throw new Error('the discovery document has no jwks_uri with https');
  if (issuer.startsWith('https:') && !address.startsWith('https:')) throw new Error('the jwks_uri is not https, as the issuer is');
  const { keys } = await jsonAt(address, signal);
  if (!Array.isArray(keys)) throw new Error('what is at the jwks_uri is no set of keys');
  const usable = keys.slice(0, MOST_KEYS).filter(isUsable);
  if (usable.length === 0) throw new Error('no key at the jwks_uri can be used');
  return { keys: usable };
};

function isUsable(key: unknown): key is JWK {
  if (typeof key !== 'object' || key === null || !('kty' in key) || !KINDS.has(key.kty) || 'd' in key) return false;
  return !('use' in key) || key.use === 'sig';
}

/** A JSON object; redirects are not followed, and large answers not read. */
async function jsonAt(address: string, signal: AbortSignal): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(address, { signal, redirect: 'error', headers: { accept: 'application/json' } });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  const body: AsyncIterable<Uint8Array> | null = response.body;
  if (body)
    for await (const part of body) {
      bytes += part.length;
      if (bytes > MAX_BYTES) throw new Error(`${address} answered more than ${MAX_BYTES} bytes`);
      parts.push(part);
    }
  if (response.status !== 200) throw new Error(`${address} answered ${response.status}`);
  const parsed: unknown = JSON.parse(Buffer.concat(parts).toString('utf8'));
  if (typeof parsed !== 'object' || parsed === null) throw new Error(`${address} answered no object`);
  return parsed as Readonly<Record<string, unknown>>; // an object has names
}
