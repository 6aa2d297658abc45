// A web page that a developer has open is no operator of the platform: what its browser sends is turned away.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { rawHttp } from '../support/raw-http.ts';
import { exampleZip } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const F = '/v1/namespaces/default/functions';
const FORM = 'application/x-www-form-urlencoded';

describe('a page of another site', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    await stack.rest.deployExample('echo');
  });
  after(() => stack.dispose());

  const send = (method: string, path: string, headers: Readonly<Record<string, string>>, body = '', url = stack.http): Promise<string> => {
    const all = { Host: new URL(url).host, 'Content-Length': String(body.length), Connection: 'close', ...headers };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
    return rawHttp(url, `${method} ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${body}`);
  };
  const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]);
  const PAGE = { Origin: 'https://evil.example', 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' };
  const unchanged = async (): Promise<void> => {
    const { body } = await stack.rest.call<{ functions: { name: string }[] }>('GET', F);
    assert.deepEqual(
      body.functions.map(({ name }) => name),
      ['echo'],
    );
    assert.deepEqual(await stack.rest.list('echo'), []);
  };

  it('deploys nothing and runs nothing by forms, whatever it says of where it comes from', async () => {
    const form = (pairs: Readonly<Record<string, string>>): string => new URLSearchParams({ Version: '2018-04-16', ...pairs }).toString();
    const create = { FunctionName: 'evil', Runtime: 'Python3.6', Handler: 'index.main_handler', 'Code.ZipFile': await exampleZip('echo') };
    const forms = [
      form({ Action: 'CreateFunction', ...create }),
      form({ Action: 'Invoke', FunctionName: 'echo', InvocationType: 'Event' }),
      form({ Action: 'DeleteFunction', FunctionName: 'echo' }),
      form({ Action: 'DeleteFunction', FunctionName: 'echo', SecretId: 'a', Signature: 'AAAA', Timestamp: '1', Nonce: '1' }),
    ];
    for (const body of forms) {
      for (const headers of [PAGE, { Origin: 'null' }, { 'Sec-Fetch-Site': 'same-site' }, { Origin: 'http://127.0.0.1:1' }])
        assert.equal(statusOf(await send('POST', '/', { 'Content-Type': FORM, ...headers }, body)), 403);
      assert.match(await send('POST', '/', { 'Content-Type': FORM }, body), /AuthFailure\.|MissingParameter/);
    }
    await unchanged();
  });

  it('makes no events, calls, versions or purges by a POST without a body', async () => {
    const id = (await stack.rest.call<{ id: string }>('POST', `${F}/echo/events`, 1, { headers: { 'evenfall-delay': '1h' } })).body.id;
    const paths = [
      `${F}/echo/events`,
      `${F}/echo:invoke`,
      `${F}/echo/versions`,
      `/v1/events/${id}:terminate`,
      '/v1/purge',
      `/v1/dead-letters/${id}:redrive`,
    ];
    for (const path of paths) {
      assert.equal(statusOf(await send('POST', path, PAGE)), 403, path);
      assert.equal(statusOf(await send('POST', path, {})), 403, `${path}, by a browser that says nothing`);
      for (const type of [FORM, 'text/plain', 'multipart/form-data; boundary=x'])
        assert.equal(statusOf(await send('POST', path, { 'Content-Type': type })), 415, path);
    }
    for (const [method, path] of [
      ['DELETE', `${F}/echo`],
      ['PUT', `${F}/echo/reserved-concurrency`],
      ['PATCH', `${F}/echo`],
      ['GET', `${F}/echo`],
    ] as const)
      assert.equal(statusOf(await send(method, path, { 'Content-Type': 'application/json', ...PAGE })), 403, method);
    assert.equal((await stack.rest.get(id)).state, 'QUEUED');
    await stack.rest.terminate(id);
    const { body } = await stack.rest.call<{ versions: unknown[] }>('GET', `${F}/echo/versions`);
    assert.deepEqual(body.versions.length, 0);
  });

  it('reads and writes nothing where its own name was made to lead here', async () => {
    const { port } = new URL(stack.http);
    const rebound = { Host: `evil.example:${port}`, Origin: `http://evil.example:${port}`, 'Sec-Fetch-Site': 'same-origin' };
    const json = { 'Content-Type': 'application/json', 'Evenfall-Client': 'x' };
    for (const [method, path] of [
      ['GET', `${F}/echo`],
      ['GET', F],
      ['GET', '/openapi.json'],
      ['GET', '/docs'],
      ['GET', '/healthz'],
      ['POST', `${F}/echo:invoke`],
      ['POST', '/'],
      ['DELETE', `${F}/echo`],
    ] as const) {
      for (const headers of [rebound, { Host: `evil.example:${port}` }]) {
        const answer = await send(method, path, { ...json, ...headers });
        assert.equal(statusOf(answer), 421, `${method} ${path}`);
        assert.match(answer, /EVENFALL_ALLOWED_HOSTS/);
      }
    }
    for (const path of ['/metrics', '/healthz', '/readyz']) {
      const metrics = stack.metrics;
      assert.equal(statusOf(await send('GET', path, { Host: 'evil.example' }, '', metrics)), 421, path);
      assert.equal(statusOf(await send('GET', path, PAGE, '', metrics)), 403, path);
      assert.equal(statusOf(await send('GET', path, {}, '', metrics)), 200, path);
    }
  });
});
