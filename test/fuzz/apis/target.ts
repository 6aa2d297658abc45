import type { Random } from '../../support/random.ts';

/** The platform as attackers of its APIs see it. */
export type Target = {
  /** `http://127.0.0.1:8080`. */
  readonly http: string;
  /** `127.0.0.1:9090`. */
  readonly grpc: string;
  readonly metrics: string;
  /** Id, ":" and secret of a key that may do everything. */
  readonly accessKey: string;
  /** Paths of the OpenAPI document and their methods. */
  readonly operations: readonly { readonly method: string; readonly path: string }[];
  /** A function's code, as Base64 of a zip. */
  readonly code: string;
  /** Tokens of its issuer, odd ones. */
  readonly tokens: readonly string[];
  /** Methods of the gRPC API, `/package.Service/Method`. */
  readonly methods: readonly string[];
};

/** One attack. Answers what it came to, in few words, or what its parts came to; ends within seconds, with everything it opened closed. */
export type Attack = (target: Target, random: Random, from: string) => Promise<string | readonly string[]>;

/** Words that mean something somewhere, and such as should mean nothing anywhere. Nothing that names what the test itself needs. */
export const WORDS: readonly [string, ...string[]] = [
  '',
  'fuzz',
  'a',
  '..',
  '%00',
  '%ff%fe',
  'fuzz:invoke',
  '$latest',
  '-1',
  '1e309',
  '9'.repeat(40),
  'x'.repeat(300),
  '\u202e\u0000\u001b[2J',
  '{"a":1}',
  '01900000-0000-7000-8000-000000000000',
  '*',
  "';--",
  'null',
];

export const wholeNumber = (random: Random, below: number): number => Math.floor(random() * below);

export function bytes(random: Random, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => wholeNumber(random, 256)));
}

/** Authorization as it may be: right, wrong, broken, or none. */
export function authorization(random: Random, { accessKey, tokens }: Target): Record<string, string> {
  const drawn = wholeNumber(random, 12);
  if (drawn >= 10) return { authorization: `${drawn === 10 ? 'Bearer' : 'bEARER  '} ${tokens[wholeNumber(random, tokens.length)] ?? ''}` };
  if (drawn < 6) return { authorization: `Bearer ${accessKey}` };
  if (drawn < 8) return {};
  if (drawn === 8) return { authorization: `Bearer ${'x'.repeat(wholeNumber(random, 2_000))}` };
  return { authorization: `Basic ${bytes(random, 30).toString('base64')}` };
}
