import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose';

/** A key that an issuer of tests signs with. */
export type SigningKey = { readonly kid: string | undefined; readonly alg: string; readonly privateKey: CryptoKey; readonly jwk: JWK };

/** An OIDC issuer on this machine: discovery and keys. */
export type Issuer = {
  readonly url: string;
  /** What it shows of its keys. */
  shown: JWK[];
  /** What it says in place of its discovery document, once set. */
  discovery: object | undefined;
  /** How often its keys were asked for. */
  asked: number;
  isDown: boolean;
  stop(): Promise<void>;
};

/** A key with an id, or without. */
export async function newKey(kid: string | undefined, alg = 'RS256'): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), ...(kid === undefined ? {} : { kid }), alg, use: 'sig' } };
}

export async function startIssuer(...keys: readonly SigningKey[]): Promise<Issuer> {
  const issuer: Issuer = {
    url: '',
    shown: keys.map(({ jwk }) => jwk),
    discovery: undefined,
    asked: 0,
    isDown: false,
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer((request, response) => {
    if (issuer.isDown) return void request.socket.destroy();
    const found = { '/.well-known/openid-configuration': discovery(), '/keys': keySet() }[request.url ?? ''];
    if (request.url === '/keys') issuer.asked++;
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json', connection: 'close' }).end(JSON.stringify(found ?? {}));
  });
  const discovery = (): object => issuer.discovery ?? { issuer: issuer.url, jwks_uri: `${issuer.url}/keys` };
  const keySet = (): object => ({ keys: issuer.shown });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  Object.assign(issuer, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }); // it listens on TCP
  return issuer;
}

/** Signs a token; claims and header that are given take the place of the usual ones. */
export function signToken(
  { url }: Pick<Issuer, 'url'>,
  key: SigningKey,
  claims: JWTPayload = {},
  header: Partial<JWTHeaderParameters> = {},
): Promise<string> {
  const nowS = Math.floor(Date.now() / 1_000);
  const usual = { iss: url, aud: AUDIENCE, sub: 'alice', iat: nowS, exp: nowS + 600, groups: ['devs'] };
  const payload = Object.fromEntries(Object.entries({ ...usual, ...claims }).filter(([, value]) => value !== undefined));
  return new SignJWT(payload)
    .setProtectedHeader({ alg: key.alg, ...(key.kid === undefined ? {} : { kid: key.kid }), ...header })
    .sign(key.privateKey);
}

export const AUDIENCE = 'evenfall';
