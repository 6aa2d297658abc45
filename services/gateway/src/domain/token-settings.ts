import type { TokenRights } from './token-rights.ts';

/** The requirements of tokens of an issuer. */
export type TokenSettings = {
  /** Part of the ids of its subjects; undefined for the issuer of `EVENFALL_OIDC_ISSUER`. */
  readonly name: string | undefined;
  /** The issuer, exactly as tokens name it. */
  readonly issuer: string;
  readonly audience: string;
  readonly rights: TokenRights;
  /** How long the issuer's keys are good without having been fetched anew. */
  readonly keysMaxAgeMs: number;
  /** How far away the end of a token may be. */
  readonly maxLifetimeMs: number;
};

const THIS_MACHINE = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether an address can be trusted to be who it says: by TLS, or on this machine. */
export function isTrustworthy(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { protocol, hostname, username, password } = new URL(address);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && THIS_MACHINE.test(hostname));
}
