import { refuse } from '@evenfall/errors';
import { decodeJwt } from 'jose';
import type { TokenSettings } from '../../domain/token-settings.ts';
import type { Tokens } from '../../ports.ts';
import { createTokens, type TokensOfIssuer } from './tokens.ts';

type Parts = Parameters<typeof createTokens>[1];

/** Characters of a token that are looked at for its issuer: no token is longer. */
const MAX_TOKEN = 8 * 1024;

/**
 * Checks tokens of several issuers: each by the settings and keys of the one it names, so that an issuer that is away, or shows keys that are no use, keeps no
 * token of another from being checked.
 */
export function createIssuers(all: readonly TokenSettings[], parts: Parts): Tokens & { run(signal: AbortSignal): Promise<void> } {
  const issuers = all.map((settings) => ({ issuer: settings.issuer, tokens: createTokens(settings, parts) }));
  const byIssuer = new Map(issuers.map(({ issuer, tokens }) => [issuer, tokens]));
  const [only] = issuers.length === 1 ? issuers : [];
  const tokensOf = (token: string): TokensOfIssuer => {
    const found = only?.tokens ?? byIssuer.get(issuerIn(token));
    if (!found) throw refuse('UNAUTHENTICATED', { detail: 'the token is of an issuer that is not known here' });
    return found;
  };
  return {
    check: (token) => tokensOf(token).check(token),
    known: (token) => tokensOf(token).known(token),
    endOf(access) {
      for (const { tokens } of issuers) {
        const end = tokens.endOf(access);
        if (end) return end;
      }
      return undefined;
    },
    notes: () => issuers.flatMap(({ tokens }) => tokens.note() ?? []),
    async run(signal) {
      await Promise.all(issuers.map(({ tokens }) => tokens.run(signal)));
    },
  };
}

/** The issuer that a token names. Nothing of it is believed: it says whose keys the signature is checked by. Empty where it names none. */
function issuerIn(token: string): string {
  if (token.length > MAX_TOKEN) throw refuse('UNAUTHENTICATED', { detail: `the token has more than ${MAX_TOKEN} characters` });
  try {
    const { iss } = decodeJwt(token);
    return typeof iss === 'string' ? iss : '';
  } catch {
    throw refuse('UNAUTHENTICATED', { detail: 'the token is not valid' });
  }
}
