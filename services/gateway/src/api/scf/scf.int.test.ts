import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { Event } from '@evenfall/contracts/v1/event';
import { refuse } from '@evenfall/errors';
import { newUuidV7 } from '@evenfall/time';
import { call, callScf, KEY, openApis } from '../../testing/harness.ts';
import { tc3Headers } from '../../testing/tc3.ts';
import { ACTIONS } from './actions.ts';

type Response = {
  readonly Error?: { readonly Code: string; readonly Message: string };
  readonly RequestId: string;
  readonly Result?: object;
};

const apis = openApis();

async function post(action: string, body: unknown, headers: Record<string, string> = {}) {
  const answer = await callScf(apis.url, action, body, headers);
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('content-type'), 'application/json', 'exactly: the SDK for Python compares');
  const { Response } = answer.json as { readonly Response: Response };
  assert.match(Response.RequestId, /^[0-9a-f-]{36}$/);
  return { ...answer, response: Response };
}
const codeOf = async (...args: Parameters<typeof post>): Promise<string> => (await post(...args)).response.Error?.Code ?? 'taken';

describe('the SCF API', () => {
  it('answers every fault of a request with HTTP 200 and a code', async () => {
    const named = { FunctionName: 'killer' };
    assert.equal(await codeOf('GetFunction', named), 'taken');
    assert.equal(await codeOf('GetFunction', named, { 'x-tc-version': '2017-01-01' }), 'NoSuchVersion');
    assert.equal(await codeOf('GetFunction', named, { 'x-tc-version': '' }), 'MissingParameter');
    assert.equal(await codeOf('', named), 'MissingParameter');
    assert.equal(await codeOf('getfunction', named), 'InvalidAction');
    assert.equal(await codeOf('GetFunction', '{'), 'InvalidParameter');
    assert.equal(await codeOf('GetFunction', '[]'), 'InvalidParameter');
    assert.equal(await codeOf('GetFunction', new Uint8Array([0xff, 0xfe])), 'InvalidParameter');
    assert.equal(await codeOf('GetFunction', '['.repeat(200_000)), 'InvalidParameter');
    assert.equal(await codeOf('GetFunction', `{"FunctionName":${'['.repeat(100_000)}${']'.repeat(100_000)}}`), 'InvalidParameter');
    assert.equal(await codeOf('GetFunction', `{"FunctionName":${'['.repeat(200_000)}${']'.repeat(200_000)}}`), 'RequestSizeLimitExceeded');
    assert.equal(await codeOf('GetFunction', named, { 'content-type': 'text/plain' }), 'InvalidRequest');
    assert.equal(await codeOf('GetFunction', named, { 'content-type': 'multipart/form-data; boundary=x' }), 'InvalidRequest');
    assert.equal(await codeOf('GetFunction', undefined), 'InvalidRequest', 'neither a type nor a body');
    assert.equal(await codeOf('GetAccount', '', { 'content-type': 'application/json; charset=utf-8' }), 'taken');
    assert.equal(await codeOf('GetFunction', JSON.stringify({ FunctionName: 'x'.repeat(1024 * 1024) })), 'RequestSizeLimitExceeded');
  });

  it('takes a body of unknown length up to the limit, and no further', async () => {
    const piecesOf = (megabytes: number): Uint8Array[] => [
      Buffer.from('{"FunctionName":"killer","ClientContext":"1'),
      ...Array.from({ length: megabytes * 16 }, () => new Uint8Array(64 * 1024).fill(32)),
      Buffer.from('"}'),
    ];
    const send = async (megabytes: number): Promise<string> => {
      const pieces = piecesOf(megabytes);
      const signed = tc3Headers({ ...KEY, host: new URL(apis.url).host, body: Buffer.concat(pieces) });
      const response = await fetch(`${apis.url}/`, {
        method: 'POST',
        headers: { ...signed, 'x-tc-action': 'Invoke', 'x-tc-version': '2018-04-16' },
        body: ReadableStream.from(pieces),
        duplex: 'half',
      });
      const { Response: answer } = (await response.json()) as { readonly Response: Response };
      return answer.Error?.Code ?? 'taken';
    };
    assert.equal(await send(5), 'taken');
    assert.equal(await send(7), 'InvalidParameter.RequestTooLarge');
    assert.equal(await send(18), 'RequestSizeLimitExceeded');
  });

  it('takes no form that is not signed: it may be that of any web page', async () => {
    const type = { 'content-type': 'application/x-www-form-urlencoded' };
    const form = 'Action=GetAccount&Version=2018-04-16&Nonce=1&Timestamp=1&Region=ap-guangzhou';
    for (const text of [form, `${form}&SecretId=a&Signature=${'A'.repeat(27)}=`, '']) {
      assert.match(await codeOf('', text, type), /^(AuthFailure\.|MissingParameter)/);
      assert.match(await codeOf('GetAccount', text, { ...type, authorization: 'Bearer a:b' }), /^(AuthFailure\.|MissingParameter)/);
    }
  });

  it('redirects requests by GET, and no others', async () => {
    for (const [path, headers] of [
      ['/?Limit=1', { 'x-tc-action': 'ListFunctions' }],
      ['/?Limit=1&Action=ListFunctions', {}],
    ] as const) {
      const { status, json } = await call(`${apis.url}${path}`, 'GET', undefined, headers);
      assert.deepEqual([status, (json as { Response: Response }).Response.Error?.Code], [200, 'UnsupportedProtocol']);
    }
    assert.equal((await call(`${apis.url}/`, 'GET')).status, 405);
    assert.equal((await call(`${apis.url}/?Action=x`, 'PUT')).status, 405);
  });

  it('gives back the id a client follows its calls by, if it is one', async () => {
    assert.equal((await post('GetAccount', {}, { 'x-tc-traceid': 'abc-1' })).headers.get('x-tc-traceid'), 'abc-1');
    assert.equal((await post('GetAccount', {}, { 'x-tc-traceid': 'a b' })).headers.get('x-tc-traceid'), null);
  });

  it('says of what is behind it only what helps its caller', async () => {
    const event = { FunctionName: 'killer', InvocationType: 'Event' };
    const cases = [
      [refuse('LANE_FULL', { function: 'killer', limit: 1 }), 'RequestLimitExceeded'],
      [refuse('LOG_UNAVAILABLE'), 'InternalError.System'],
      [refuse('SERVICE_UNAVAILABLE', { detail: 'x' }), 'InternalError.System'],
      [new Error('secret'), 'InternalError'],
    ] as const;
    for (const [failure, code] of cases) {
      apis.world.queueFailure = failure;
      const { response, text } = await post('Invoke', event);
      assert.equal(response.Error?.Code, code);
      assert.ok(!text.includes('secret'));
    }
    apis.world.queueFailure = undefined;
    assert.equal(await codeOf('Invoke', { FunctionName: 'empty' }), 'FailedOperation.FunctionStatusError');
    const routing = (RoutingKey: string) => codeOf('Invoke', { ...event, RoutingKey });
    assert.equal(await routing('{"User":"1"}'), 'taken');
    for (const wrong of ['{', '[]', '{"User":1}', JSON.stringify({ User: 'x'.repeat(1_024) })])
      assert.equal(await routing(wrong), 'InvalidParameterValue.Param');
  });

  it('asks for a graceful stop only when it is asked for one', async () => {
    const id = newUuidV7();
    apis.world.events.set(id, Event.create({ id, namespace: 'default', function: 'killer', state: 2 }));
    for (const GraceShutdown of [undefined, false, true]) {
      apis.world.terminations.length = 0;
      assert.equal(await codeOf('TerminateAsyncEvent', { FunctionName: 'killer', InvokeRequestId: id, GraceShutdown }), 'taken');
      assert.deepEqual(
        apis.world.terminations.map(({ mode, requester }) => [mode, requester]),
        [[GraceShutdown ? 2 : 1, 'test']],
      );
    }
    assert.equal(await codeOf('TerminateAsyncEvent', { FunctionName: 'empty', InvokeRequestId: id }), 'ResourceNotFound.AsyncEvent');
  });

  it('knows no action that its guide does not name', async () => {
    const guide = readFileSync(new URL('../../../../../docs/guides/scf.md', import.meta.url), 'utf8');
    for (const name of ACTIONS.keys()) assert.ok(guide.includes(`\`${name}\``), name);
  });
});

describe('the SCF API with keys', () => {
  const keyed = openApis({ accessKeys: [{ id: 'ann', secret: 'a-secret-of-ann' }] });

  async function formCode(text: string): Promise<string> {
    const form = new URLSearchParams(text);
    for (const [name, value] of [
      ['SecretId', 'ann'],
      ['Nonce', '1'],
      ['Timestamp', String(Math.floor(Date.now() / 1_000))],
    ] as const)
      form.set(name, value);
    const pairs = [...form.keys()].sort().map((name) => `${name}=${form.get(name) ?? ''}`);
    const signed = `POST${new URL(keyed.url).host}/?${pairs.join('&')}`;
    form.set('Signature', createHmac('sha1', 'a-secret-of-ann').update(signed).digest('base64'));
    const answer = await call(`${keyed.url}/`, 'POST', form.toString(), { 'content-type': 'application/x-www-form-urlencoded' });
    assert.equal(answer.status, 200);
    return (answer.json as { readonly Response: Response }).Response.Error?.Code ?? 'taken';
  }

  it('reads forms that are signed', async () => {
    const text = 'Version=2018-04-16&Region=ap-guangzhou';
    assert.equal(await formCode(`Action=ListAsyncEvents&${text}&FunctionName=killer&Limit=5&Status.0=RUNNING`), 'taken');
    assert.equal(await formCode(`Action=ListAsyncEvents&${text}&FunctionName=killer&Status.0=QUEUED`), 'InvalidParameterValue.Status');
    assert.equal(await formCode(`Action=ListAsyncEvents&${text}&FunctionName=killer&Foo=1`), 'UnknownParameter');
    assert.equal(await formCode(`Action=Invoke&${text}&FunctionName=a%20b`), 'InvalidParameter.FunctionName', 'a code of the action');
    assert.equal(await formCode(text), 'MissingParameter');
    assert.equal(await formCode('Action=Invoke&Version=1'), 'NoSuchVersion');
  });
});
