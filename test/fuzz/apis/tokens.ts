import { pick, type Random } from '../../support/random.ts';
import { type Issuer, type SigningKey, signToken } from '../../../services/gateway/src/testing/issuer.ts';
import { wholeNumber, WORDS } from './target.ts';
import { anyValue } from './values.ts';

/** Claims that tokens are checked by, with values of every kind. */
const CLAIMS = ['iss', 'aud', 'sub', 'exp', 'nbf', 'iat', 'groups', 'scope', 'jti'] as const;

/** Tokens that an issuer signed, most of them with something odd in them: head, claims or the pieces of which they are made. */
export async function anyTokens(
  issuer: Pick<Issuer, 'url'>,
  keys: readonly [SigningKey, ...SigningKey[]],
  random: Random,
): Promise<string[]> {
  return Promise.all(
    Array.from({ length: 200 }, async () => {
      const key = pick(random, keys);
      const odd = random() < 0.7 ? { [pick(random, CLAIMS)]: anyValue(random) } : {};
      const groups = pick(random, [['platform'], 'platform', [['platform']], { platform: true }, [null, 7, 'platform'], []]);
      const header = random() < 0.4 ? { [pick(random, ['kid', 'typ', 'jku', 'x5u', 'jwk', 'cty'])]: pick(random, WORDS) } : {};
      return broken(
        random,
        await signToken(issuer, key, { groups, sub: pick(random, ['alice', 'bob', 'ünï\u202e', 'x'.repeat(900)]), ...odd }, header),
      );
    }),
  );
}

/** Now and then with another head, without its signature, or cut. */
function broken(random: Random, token: string): string {
  const [head = '', payload = '', signature = ''] = token.split('.');
  const drawn = wholeNumber(random, 20);
  if (drawn === 0) return `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`;
  if (drawn === 1) return `${Buffer.from('{"alg":"HS256","kid":"first"}').toString('base64url')}.${payload}.${signature}`;
  if (drawn === 2) return `${Buffer.from('{"alg":"RS256","crit":["b64"],"b64":false}').toString('base64url')}.${payload}.${signature}`;
  if (drawn === 3) return `${head}.${payload}.${signature.slice(0, wholeNumber(random, signature.length))}`;
  if (drawn === 4) return `${head}.${Buffer.from('['.repeat(3_000)).toString('base64url')}.${signature}`;
  return token;
}

/** Sets of keys as an issuer may show them, the last of them in order. */
export function oddKeySets(key: SigningKey): readonly unknown[][] {
  const { jwk } = key;
  return [
    [null, 7, 'key', [], jwk],
    [{ ...jwk, kid: 7 }, { ...jwk, kty: 'oct', k: 'AAAA' }, jwk],
    [
      { ...jwk, n: 'AQAB', x: 'AQAB' },
      { ...jwk, alg: 'HS256' },
      { ...jwk, key_ops: 7 },
    ],
    [{ kty: 'EC', crv: 'P-0', kid: key.kid }, { kty: 'RSA' }],
    [],
    [jwk],
  ];
}
