import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { describe, it } from 'node:test';
import { patient } from '@evenfall/testkit';
import { ADMIN_OF_ALL } from '@evenfall/access';
import { tc3Headers } from '../../testing/tc3.ts';
import type { Signer } from '../access.ts';
import { ScfError } from './codes.ts';
import { formSignatureCheck } from './form-signature.ts';
import { signatureCheck } from './signature.ts';

const NOW_MS = Date.UTC(2026, 0, 31, 12);
const KEYS = [
  { id: 'ann', secret: 'a-secret-of-ann' },
  { id: 'bob', secret: 'a-secret-of-bob' },
];
const BODY = Buffer.from('{"FunctionName":"f"}');
const HOST = '127.0.0.1:8080';
const signerOf = (id: string): Signer | undefined => {
  const secrets = KEYS.filter((key) => key.id === id).map(({ secret }) => ({ secret, access: { id, ...ADMIN_OF_ALL } }));
  return secrets.length === 0 ? undefined : { secrets };
};
const check = signatureCheck({ signerOf, isOpen: false }, () => NOW_MS);

type Signing = {
  readonly id?: string;
  readonly secret?: string;
  readonly service?: string;
  readonly signedHost?: string;
  readonly contentType?: string;
  readonly atMs?: number;
  readonly date?: string;
  readonly body?: Buffer | string;
  /** Further headers that are signed, as they are written into the canonical request. */
  readonly more?: Readonly<Record<string, string>>;
};

function signed(given: Signing = {}): Record<string, string> {
  const { id = 'ann', secret = 'a-secret-of-ann', signedHost = HOST, body = BODY, atMs = NOW_MS, ...more } = given;
  const headers = tc3Headers({ id, secret, host: signedHost, body, atMs, ...more });
  return { host: HOST, 'x-tc-action': 'GetFunction', ...headers };
}

const sha256 = (body: Buffer | string): string => createHash('sha256').update(body).digest('hex');
const codeOf = (run: () => unknown): string => {
  try {
    return `let in: ${String(run())}`;
  } catch (error) {
    if (error instanceof ScfError) return error.code;
    throw error;
  }
};
const outcome = (headers: Record<string, string>, body = BODY) => codeOf(() => check(headers).prove(sha256(body)).id);

describe('TC3 signatures', () => {
  it('say who calls, whichever way clients write the host and the other headers', () => {
    const ways: Signing[] = [
      {},
      { id: 'bob', secret: 'a-secret-of-bob' },
      { service: '127', signedHost: '127.0.0.1' }, // the SDK for Node
      { service: 'localhost:8080' },
      { more: { 'x-tc-action': 'getfunction' } }, // the documented recipe
      { more: { 'x-tc-action': 'GetFunction' } },
      { contentType: 'application/json; charset=utf-8' },
      { atMs: NOW_MS - 299_000 },
      { atMs: NOW_MS + 299_000 },
    ];
    for (const way of ways) assert.equal(outcome(signed(way)), `let in: ${way.id ?? 'ann'}`, JSON.stringify(way));
  });

  it('may leave the body out, if they say so', () => {
    const headers = { ...signed({ body: 'UNSIGNED-PAYLOAD' }), 'x-tc-content-sha256': 'UNSIGNED-PAYLOAD' };
    assert.equal(outcome(headers), 'let in: ann');
    assert.equal(outcome(signed({ body: 'UNSIGNED-PAYLOAD' })), 'AuthFailure.SignatureFailure');
  });

  it('are refused with the code that says why', () => {
    const good = signed();
    const { authorization = '' } = good;
    const cases: readonly (readonly [string, string, Record<string, string>])[] = [
      ['another secret', 'AuthFailure.SignatureFailure', signed({ secret: 'a-secret-of-bob' })],
      ['another host', 'AuthFailure.SignatureFailure', signed({ signedHost: 'scf.tencentcloudapi.com' })],
      ['another content type', 'AuthFailure.SignatureFailure', { ...good, 'content-type': 'application/json; charset=utf-8' }],
      ['the date of another day', 'AuthFailure.SignatureFailure', signed({ date: '2026-02-01' })],
      ['an unknown id', 'AuthFailure.SignatureFailure', signed({ id: 'eve' })],
      ['an id of every object', 'AuthFailure.SignatureFailure', signed({ id: '__proto__' })],
      ['too late', 'AuthFailure.SignatureExpire', signed({ atMs: NOW_MS - 301_000 })],
      ['too early', 'AuthFailure.SignatureExpire', signed({ atMs: NOW_MS + 301_000 })],
      ['no time at all', 'AuthFailure.SignatureExpire', { ...good, 'x-tc-timestamp': 'now' }],
      ['no timestamp', 'MissingParameter', { ...good, 'x-tc-timestamp': '' }],
      ['a token', 'AuthFailure.TokenFailure', { ...good, 'x-tc-token': 'x' }],
      ['no header', 'AuthFailure.InvalidAuthorization', { ...good, authorization: '' }],
      ['a bearer', 'AuthFailure.InvalidAuthorization', { ...good, authorization: 'Bearer ann:a-secret-of-ann' }],
      ['the SDK set not to sign', 'AuthFailure.InvalidAuthorization', { ...good, authorization: 'SKIP' }],
      ['the host not signed', 'AuthFailure.InvalidAuthorization', { ...good, authorization: authorization.replace(';host', '') }],
      ['half a signature', 'AuthFailure.InvalidAuthorization', { ...good, authorization: authorization.slice(0, -32) }],
      [
        'a very long header',
        'AuthFailure.InvalidAuthorization',
        { ...good, authorization: `TC3-HMAC-SHA256 Credential=${'a'.repeat(100_000)}` },
      ],
    ];
    for (const [name, code, headers] of cases) assert.equal(outcome(headers), code, name);
    assert.equal(outcome(good, Buffer.from('{"FunctionName":"g"}')), 'AuthFailure.SignatureFailure', 'another body');
  });

  it('do not say whether it is the id or the secret that is wrong', () => {
    const eve = check(signed({ id: 'eve' }));
    const ann = check(signed({ secret: 'a-secret-of-bob' }));
    assert.deepEqual([eve.isKnown, ann.isKnown], [false, true]);
    const said = [eve, ann].map((claim) => {
      try {
        return claim.prove(sha256(BODY));
      } catch (error) {
        return error instanceof ScfError ? `${error.code} ${error.message}` : String(error);
      }
    });
    assert.equal(said[0], said[1]);
  });

  it('are not looked at where the APIs are open', () => {
    assert.equal(signatureCheck({ signerOf: () => undefined, isOpen: true }, () => NOW_MS)({}).prove(sha256(BODY)).id, 'anonymous');
  });
});

describe('signatures of forms', () => {
  const checkForm = formSignatureCheck(signerOf, () => NOW_MS);
  const form = (changes: Readonly<Record<string, string>> = {}, { secret = 'a-secret-of-ann', host = HOST } = {}): Buffer => {
    const pairs: Record<string, string> = {
      Action: 'ListAsyncEvents',
      'Status.0': 'RUNNING',
      FunctionName: 'a b&c',
      SecretId: 'ann',
      SignatureMethod: 'HmacSHA256',
      Timestamp: String(NOW_MS / 1_000),
      Nonce: '1',
      ...changes,
    };
    const text = Object.keys(pairs)
      .sort()
      .map((name) => `${name}=${pairs[name] ?? ''}`)
      .join('&');
    const hash = pairs['SignatureMethod'] === 'HmacSHA1' ? 'sha1' : 'sha256';
    const Signature = createHmac(hash, secret).update(`POST${host}/?${text}`).digest('base64');
    return Buffer.from(new URLSearchParams({ ...pairs, Signature }).toString());
  };
  const outcomeOf = (body: Buffer) => codeOf(() => checkForm({ host: HOST }, body).access.id);

  it('say who calls, or why not', () => {
    assert.equal(outcomeOf(form()), 'let in: ann');
    assert.equal(outcomeOf(form({ SignatureMethod: 'HmacSHA1' })), 'let in: ann');
    assert.equal(outcomeOf(form({}, { host: '127.0.0.1' })), 'let in: ann');
    assert.equal(outcomeOf(form({}, { secret: 'a-secret-of-bob' })), 'AuthFailure.SignatureFailure');
    assert.equal(outcomeOf(Buffer.from(form().toString().replace('RUNNING', 'FAILED'))), 'AuthFailure.SignatureFailure');
    assert.equal(outcomeOf(form({ SecretId: 'eve' })), 'AuthFailure.SignatureFailure');
    assert.equal(outcomeOf(form({ Timestamp: '1' })), 'AuthFailure.SignatureExpire');
    assert.equal(outcomeOf(form({ Token: 'x' })), 'AuthFailure.TokenFailure');
    assert.equal(outcomeOf(form({ SignatureMethod: 'MD5' })), 'AuthFailure.InvalidAuthorization');
    assert.equal(outcomeOf(Buffer.from('Action=GetAccount')), 'MissingParameter');
    assert.equal(outcomeOf(form({ Nonce: '' })), 'MissingParameter');
  });

  it('count once, until they are too old anyway', () => {
    let nowMs = NOW_MS;
    const checkOnce = formSignatureCheck(signerOf, () => nowMs);
    const outcome = (body: Buffer) => codeOf(() => checkOnce({ host: HOST }, body).access.id);
    const first = form({ Nonce: '7' });
    assert.equal(outcome(first), 'let in: ann');
    assert.equal(outcome(first), 'AuthFailure.SignatureFailure');
    assert.equal(outcome(form({ Nonce: '8' })), 'let in: ann', 'the same request with another nonce');
    nowMs += 299_000;
    assert.equal(outcome(first), 'AuthFailure.SignatureFailure');
    nowMs += 2_000;
    assert.equal(outcome(first), 'AuthFailure.SignatureExpire');
  });

  it('of strangers cost nothing, however large the form is', () => {
    const parts = (count: number, id: string) => Buffer.from(`SecretId=${id}${'&a'.repeat(count)}`);
    // Of this thread: how long it waits for a processor says nothing. Read as a form, each of them took a second and more.
    const took = (body: Buffer): number => {
      const began = process.threadCpuUsage();
      assert.equal(outcomeOf(body), 'AuthFailure.SignatureFailure');
      return process.threadCpuUsage(began).user / 1_000;
    };
    for (const id of ['ann', 'eve']) assert.ok(took(parts(500_000, id)) < patient(100), 'a million bytes of nothing but pairs');
    const value = 'x'.repeat(1_000_000);
    for (const body of [
      `SecretId=eve&Code=${value}`,
      `Code=${value}&SecretId=eve`,
      `Code=${value}&SecretId=`,
      `Code=${value}`,
      `SecretId=${value}`,
    ])
      assert.ok(took(Buffer.from(body)) < patient(100));
    assert.equal(outcomeOf(form({ Code: value })), 'let in: ann', 'who has a key is read');
  });
});
