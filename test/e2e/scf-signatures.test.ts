import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { exampleZip, refusedWith, scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

describe('the SCF API of a platform with access keys', () => {
  const ann = { secretId: 'ann', secretKey: 'a-secret-of-ann' };
  let stack: Stack;
  before(async () => {
    stack = await startStack({ env: { EVENFALL_ACCESS_KEYS: 'ann:a-secret-of-ann,bob:a-secret-of-bob', EVENFALL_SCF_TIME_ZONE: 'UTC' } });
  });
  after(() => stack.dispose());

  it('lets in who signs, with and without the port in the signed host, and by either kind of signature', async () => {
    const { port } = new URL(stack.http);
    // The SDK signs the host without its port; the service in the scope is the part before the first dot.
    for (const endpoint of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      const { AccountUsage } = await scfClient(stack, { ...ann, endpoint }).GetAccount();
      assert.equal(AccountUsage?.NamespacesCount, 1);
    }
    for (const signMethod of ['HmacSHA1', 'HmacSHA256'] as const) {
      const client = scfClient(stack, { ...ann, signMethod });
      assert.equal((await client.ListFunctions({ Limit: 5, Filters: [{ Name: 'Runtime', Values: ['Python3.6'] }] })).TotalCount, 0);
      await refusedWith('ResourceNotFound.Function', client.Invoke({ FunctionName: 'unknown', ClientContext: '{"a": "b&c=d é"}' }));
    }
  });

  it('keeps out everybody else, and says why', async (t) => {
    const call = (options: object) => scfClient(stack, options).GetAccount();
    await refusedWith('AuthFailure.SignatureFailure', call({ secretId: 'eve', secretKey: 'a-secret-of-ann' }));
    for (const signMethod of ['TC3-HMAC-SHA256', 'HmacSHA1', 'HmacSHA256'])
      await refusedWith('AuthFailure.SignatureFailure', call({ ...ann, secretKey: 'a-secret-of-bob', signMethod }));
    const late = scfClient(stack, ann);
    const clock = t.mock.method(Date.prototype, 'getTime', function (this: Date) {
      return this.valueOf() - 6 * 60_000;
    });
    try {
      await refusedWith('AuthFailure.SignatureExpire', late.GetAccount());
    } finally {
      clock.mock.restore();
    }
    const plain = await stack.rest.call<{ Response: { Error: { Code: string } } }>(
      'POST',
      '/',
      {},
      { headers: { 'x-tc-action': 'GetAccount' } },
    );
    assert.deepEqual([plain.status, plain.body.Response.Error.Code], [200, 'AuthFailure.InvalidAuthorization']);
  });

  it('writes on the receipt who asked, and times in the zone it was given', async () => {
    const client = scfClient(stack, ann);
    await client.CreateFunction({
      FunctionName: 'killer',
      Code: { ZipFile: await exampleZip('graceful-killer') },
      Runtime: 'Python3.6',
      AsyncRunEnable: 'TRUE',
    });
    const { RequestId: id = '' } = await client.Invoke({ FunctionName: 'killer', InvocationType: 'Event' });
    await client.TerminateAsyncEvent({ FunctionName: 'killer', InvokeRequestId: id });
    const { body } = await stack.rest.call<{ termination: { requester: string } }>('GET', `/v1/events/${id}`, undefined, {
      headers: { authorization: 'Bearer ann:a-secret-of-ann' },
    });
    assert.equal(body.termination.requester, 'ann');
    const [event] = (await client.ListAsyncEvents({ FunctionName: 'killer' })).EventList;
    assert.ok(Math.abs(Date.parse(`${(event?.StartTime ?? '').replace(' ', 'T')}Z`) - Date.now()) < 30_000);
  });
});
