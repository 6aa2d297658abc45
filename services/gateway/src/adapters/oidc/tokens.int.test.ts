import assert from 'node:assert/strict';
import { createHmac, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { type FakeClock, fakeClock } from '@evenfall/time';
import { type CryptoKey, exportSPKI, importJWK, UnsecuredJWT } from 'jose';
import { roleRuleOf } from '../../domain/token-rights.ts';
import { AUDIENCE, type Issuer, newKey, type SigningKey, signToken, startIssuer } from '../../testing/issuer.ts';
import { fetchKeys } from './fetch-keys.ts';
import { createTokens } from './tokens.ts';

const HOUR_MS = 3_600_000;
const RIGHTS = { claim: 'groups', rules: ['devs=deployer@team-a', 'admins=admin@*'].map(roleRuleOf) };
const encoded = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('tokens of an issuer', () => {
  let issuer: Issuer;
  let first: SigningKey;
  let clock: FakeClock;
  let tokens: ReturnType<typeof createTokens>;

  before(async () => {
    first = await newKey('first');
    issuer = await startIssuer(first);
  });
  after(() => issuer.stop());
  beforeEach(() => {
    issuer.shown = [first.jwk];
    issuer.discovery = undefined;
    issuer.isDown = false;
    issuer.asked = 0;
    clock = fakeClock(Date.now());
    tokens = createTokens(
      { name: undefined, issuer: issuer.url, audience: AUDIENCE, rights: RIGHTS, keysMaxAgeMs: HOUR_MS, maxLifetimeMs: 24 * HOUR_MS },
      { clock, log: silentLog },
    );
  });
  const refusedAs =
    (reason: string, detail = /./) =>
    (error: unknown): boolean =>
      isRefusal(error) && error.reason === reason && detail.test(error.message);
  const check = async (token: string) => tokens.check(token);
  const refused = (token: string, detail: RegExp, reason = 'UNAUTHENTICATED') => assert.rejects(check(token), refusedAs(reason, detail));
  /** A token put together by hand. */
  const made = (header: object, payload: object, sign: (input: string) => Buffer = () => randomBytes(256)): string => {
    const input = `${encoded(header)}.${encoded(payload)}`;
    return `${input}.${sign(input).toString('base64url')}`;
  };
  const goodClaims = () => ({
    iss: issuer.url,
    aud: AUDIENCE,
    sub: 'mallory',
    exp: Math.floor(Date.now() / 1_000) + 600,
    groups: ['admins'],
  });

  it('say who calls and what for, and are remembered', async () => {
    const token = await signToken(issuer, first);
    const access = await check(token);
    assert.deepEqual(access, { id: 'oidc:alice', grants: [{ role: 'deployer', namespaces: new Set(['team-a']), showsPayloads: false }] });
    assert.equal(tokens.check(token), access, 'at once');
    assert.equal(tokens.known(token), access);
    const both = await Promise.all(
      [signToken(issuer, first, { sub: 'bob' })].flatMap((one) => [one, one]).map(async (one) => check(await one)),
    );
    assert.equal(both[0], both[1], 'checked once');
    assert.equal(issuer.asked, 1);
  });

  it('are taken of every algorithm with a public key', async () => {
    for (const alg of ['RS512', 'PS256', 'ES256', 'ES384', 'EdDSA']) {
      const key = await newKey(`key-${alg}`, alg);
      issuer.shown = [first.jwk, key.jwk];
      clock.advance(11_000);
      assert.equal((await check(await signToken(issuer, key))).grants[0]?.role, 'deployer', alg);
    }
  });

  it('of a key that its issuer takes away are forgotten, also where another has its id, or none has one', async () => {
    for (const kid of ['same', undefined]) {
      const [rsa, ec] = [await newKey(kid), await newKey(kid, 'ES256')];
      for (const [gone, stays, isFirst] of [
        [rsa, ec, true],
        [rsa, ec, false],
        [ec, rsa, true],
        [ec, rsa, false],
      ] as const) {
        issuer.shown = (isFirst ? [gone, stays] : [stays, gone]).map(({ jwk }) => jwk);
        tokens = createTokens(
          { name: undefined, issuer: issuer.url, audience: AUDIENCE, rights: RIGHTS, keysMaxAgeMs: HOUR_MS, maxLifetimeMs: 24 * HOUR_MS },
          { clock, log: silentLog },
        );
        const token = await signToken(issuer, gone);
        const end = tokens.endOf(await check(token));
        issuer.shown = [stays.jwk];
        clock.advance(11_000);
        await assert.rejects(check(await signToken(issuer, first, {}, { kid: 'unknown' }))); // has them fetched
        assert.equal(end?.aborted, true, 'its streams end');
        await assert.rejects(check(token), `${kid ?? 'without an id'} ${gone.alg}`);
      }
    }
  });

  it('are refused for what is wrong with their claims', async () => {
    const nowS = Math.floor(clock.now() / 1_000);
    await refused(await signToken(issuer, first, { exp: nowS - 11 }), /has expired/);
    assert.ok(await check(await signToken(issuer, first, { exp: nowS - 8 })), 'clocks differ a little');
    const dayS = 24 * 3_600;
    assert.ok(await check(await signToken(issuer, first, { exp: nowS + dayS })));
    for (const exp of [nowS + dayS + 60, nowS + 365 * dayS, 1e15, Number.MAX_SAFE_INTEGER])
      await refused(await signToken(issuer, first, { exp }), /EVENFALL_OIDC_MAX_LIFETIME/);
    await refused(await signToken(issuer, first, { nbf: nowS + 60 }), /claim "nbf"/);
    await refused(await signToken(issuer, first, { aud: 'others' }), /claim "aud"/);
    await refused(await signToken(issuer, first, { aud: ['others', 'more'] }), /claim "aud"/);
    assert.ok(await check(await signToken(issuer, first, { aud: ['others', AUDIENCE] })));
    await refused(await signToken(issuer, first, { iss: `${issuer.url}/` }), /claim "iss"/);
    for (const missing of ['exp', 'sub', 'aud', 'iss'])
      await refused(await signToken(issuer, first, { [missing]: undefined }), new RegExp(`claim "${missing}"`));
    await refused(await signToken(issuer, first, { groups: undefined }), /no value of its claim "groups"/, 'TOKEN_WITHOUT_ROLE');
  });

  it('are refused for every other signature', async () => {
    const spki = await exportSPKI((await importJWK(first.jwk, 'RS256', { extractable: true })) as CryptoKey);
    // The public key as a secret that both sides know: in each form that a library might take it in.
    for (const secret of [spki, spki.trimEnd(), JSON.stringify(first.jwk), first.jwk.n ?? ''])
      for (const alg of ['HS256', 'HS512'] as const) {
        const hmac = (input: string): Buffer =>
          createHmac(`sha${alg.slice(2)}`, secret)
            .update(input)
            .digest();
        await refused(made({ alg, kid: 'first' }, goodClaims(), hmac), /algorithm that is not allowed/);
      }
    const unsigned = new UnsecuredJWT(goodClaims()).encode();
    for (const token of [unsigned, `${unsigned}AA`]) await refused(token, /not allowed|not valid/);
    for (const alg of ['none', 'None', 'NONE', 'nOnE', 'RS1', '', 'constructor'])
      await refused(made({ alg, kid: 'first' }, goodClaims()), /not allowed|not valid/);
    await refused(made({ alg: 'RS256', kid: 'first' }, goodClaims()), /signature of the token is wrong/);
    const stranger = await newKey('first');
    await refused(await signToken(issuer, stranger), /signature of the token is wrong/);
    // A key that comes with the token proves nothing.
    await refused(
      await signToken(issuer, stranger, {}, { jwk: stranger.jwk, jku: 'http://127.0.0.1:1/keys', kid: 'first' }),
      /signature of the token is wrong/,
    );
    const good = await signToken(issuer, first);
    const [head = '', , signature = ''] = good.split('.');
    await refused(`${head}.${encoded(goodClaims())}.${signature}`, /signature of the token is wrong/);
    await refused(made({ alg: 'RS256', kid: 'first', crit: ['x'], x: 1 }, goodClaims()), /not valid/);
  });

  it('are refused, whatever they are made of', async () => {
    const good = await signToken(issuer, first);
    await refused(`${good}${'A'.repeat(9_000)}`, /more than 8192 characters/);
    await refused(await signToken(issuer, first, { groups: Array.from({ length: 3_000 }, (_, n) => `g${n}`) }), /more than 8192/);
    for (const token of [
      'a.b.c',
      '..',
      `${encoded([])}.${encoded({})}.x`,
      `${encoded({ alg: 'RS256' })}.${encoded('x')}.x`,
      `${encoded({ alg: 'RS256', kid: 7 })}.${encoded({})}.x`,
    ])
      await refused(token, /./);
  });

  it('are taken with a new key once it is shown, and refused with one that is taken back', async () => {
    const old = await signToken(issuer, first);
    const access = await check(old);
    const second = await newKey('second', 'ES256');
    issuer.shown = [first.jwk, second.jwk];
    const token = await signToken(issuer, second);
    await refused(token, /key that its issuer does not have/); // it was asked a moment ago
    clock.advance(10_001);
    assert.equal((await check(token)).id, 'oidc:alice');
    assert.equal(tokens.check(old), access);
    const end = tokens.endOf(access);
    assert.equal(end?.aborted, false);
    issuer.shown = [second.jwk];
    clock.advance(10_001);
    await refused(await signToken(issuer, await newKey('third')), /does not have/);
    await refused(old, /does not have/);
    assert.equal(end?.aborted, true, 'its streams end');
    assert.ok(await check(token));
  });

  it('of a key that has the id of another before it are not those', async () => {
    const old = await signToken(issuer, first);
    await check(old);
    issuer.shown = [(await newKey('first')).jwk];
    clock.advance(10_001);
    await refused(await signToken(issuer, await newKey('unknown')), /does not have/);
    await refused(old, /signature of the token is wrong/);
  });

  it('with a key that is too short, or none at all, are refused like others', async () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey.export({ format: 'jwk' });
    const named = { alg: 'RS256', use: 'sig' };
    issuer.shown = [
      { ...short, kty: 'RSA', kid: 'short', ...named },
      { kty: 'RSA', n: 'AQAB', e: '', kid: 'broken', ...named },
      { kty: 'RSA', kid: 'empty', ...named },
      { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', kid: 'off', alg: 'ES256' },
      first.jwk,
    ];
    for (const [kid, alg] of [
      ['short', 'RS256'],
      ['broken', 'RS256'],
      ['empty', 'RS256'],
      ['off', 'ES256'],
    ])
      await refused(made({ alg, kid }, goodClaims()), /key that cannot be used|not valid|signature/);
    assert.ok(await check(await signToken(issuer, first)), 'the others are taken');
  });

  it('with unknown keys do not have the issuer asked more than every ten seconds', async () => {
    await check(await signToken(issuer, first));
    const strange = await newKey('strange');
    const flood = await Promise.all(Array.from({ length: 50 }, (_, n) => signToken(issuer, strange, {}, { kid: `k${n}` })));
    const ask = async (): Promise<void> => {
      for (const one of await Promise.allSettled(flood.map((token) => check(token)))) assert.equal(one.status, 'rejected');
    };
    await ask();
    assert.equal(issuer.asked, 1);
    clock.advance(10_001);
    await ask();
    await ask();
    assert.equal(issuer.asked, 2);
  });

  it('are refused as long as the keys cannot be fetched, and checked by those that were for an hour', async () => {
    issuer.isDown = true;
    const token = await signToken(issuer, first, { exp: Math.floor(clock.now() / 1_000) + 10_000 });
    await refused(token, /keys of the token issuer cannot be fetched/, 'SERVICE_UNAVAILABLE');
    assert.match(tokens.note() ?? '', /^tokens are refused: the keys of http/);
    issuer.isDown = false;
    clock.advance(10_001);
    const access = await check(token);
    assert.equal(tokens.note(), undefined);
    issuer.isDown = true;
    clock.advance(HOUR_MS - 1_000);
    assert.equal(tokens.known(token), access);
    await refused(await signToken(issuer, await newKey('unknown'), { exp: Math.floor(clock.now() / 1_000) + 600 }), /does not have/);
    assert.match(tokens.note() ?? '', /^tokens are checked by keys that were fetched before/);
    clock.advance(2_000);
    await refused(token, /cannot be fetched/, 'SERVICE_UNAVAILABLE');
    assert.throws(() => tokens.known(token), refusedAs('SERVICE_UNAVAILABLE'));
    issuer.isDown = false;
    clock.advance(10_001);
    assert.ok(await check(token));
  });

  it('expire, with the streams that were opened by them', async () => {
    const end = new AbortController();
    const running = tokens.run(end.signal);
    const token = await signToken(issuer, first, { exp: Math.floor(clock.now() / 1_000) + 60 });
    const access = await check(token);
    const signal = tokens.endOf(access);
    assert.equal(tokens.endOf({ ...access }), undefined, 'of no token');
    clock.advance(69_000);
    assert.equal(tokens.known(token), access);
    clock.advance(2_000);
    await eventually(() => signal?.aborted);
    assert.throws(() => tokens.known(token), refusedAs('UNAUTHENTICATED', /not good any more/));
    assert.equal(tokens.endOf(access)?.aborted, true);
    await refused(token, /expired/);
    end.abort();
    await running;
  });
});

describe('keys of an issuer', () => {
  it('are taken only as its discovery says, from where it can be trusted, and never secrets', async () => {
    const key = await newKey('a');
    const issuer = await startIssuer(key);
    const secret = { kty: 'oct', k: 'c2VjcmV0', kid: 's', alg: 'HS256' };
    issuer.shown = [key.jwk, secret, { ...key.jwk, kid: 'private', d: 'x' }, { ...key.jwk, kid: 'enc', use: 'enc' }];
    assert.deepEqual(
      (await fetchKeys(issuer.url)).keys.map(({ kid }) => kid),
      ['a'],
    );
    issuer.shown = [secret];
    await assert.rejects(fetchKeys(issuer.url), /no key at the jwks_uri can be used/);
    for (const [discovery, fault] of [
      [{ issuer: 'https://other.example', jwks_uri: `${issuer.url}/keys` }, /another issuer/],
      [{ issuer: issuer.url, jwks_uri: 'http://other.example/keys' }, /no jwks_uri with https/],
      [{ issuer: issuer.url, jwks_uri: 7 }, /no jwks_uri with https/],
      [{ issuer: issuer.url, jwks_uri: `${issuer.url}/nowhere` }, /answered 404/],
      [{ issuer: issuer.url, jwks_uri: `${issuer.url}/keys`, filler: 'x'.repeat(300_000) }, /more than 262144 bytes/],
    ] as const) {
      issuer.discovery = discovery;
      await assert.rejects(fetchKeys(issuer.url), fault);
    }
    await issuer.stop();
  });

  it('are not fetched where a redirect leads', async () => {
    const server = createServer((_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:1/' }).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    await assert.rejects(fetchKeys(`http://127.0.0.1:${(server.address() as AddressInfo).port}`));
    server.closeAllConnections();
    server.close();
  });
});
