// A web page that a developer has open is no operator of the platform: what its browser sends is turned away.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { eventually, tempDir } from '@evenfall/testkit';
import { rawHttp } from '../support/raw-http.ts';
import { exampleZip } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const F = '/v1/namespaces/default/functions';
const FORM = 'application/x-www-form-urlencoded';
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) => existsSync(path));

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
      assert.match(await send('POST', '/', { 'Content-Type': FORM }, body), /AuthFailure\.InvalidAuthorization/);
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

  it('gets nowhere in a browser either', { skip: CHROMIUM === undefined && 'there is no Chromium here', timeout: 90_000 }, async () => {
    const events = `${stack.http}${F}/echo/events`;
    const form = 'Action=Invoke&Version=2018-04-16&FunctionName=echo&InvocationType=Event';
    let reported: string | undefined;
    const page = `<!doctype html><body><iframe name=sink></iframe><script>
      const seen = {};
      const attempt = async (name, url, init) => {
        try { const r = await fetch(url, init); seen[name] = r.type === 'opaque' ? 'opaque' : r.status + ' ' + await r.text(); } catch (e) { seen[name] = 'failed'; }
      };
      (async () => {
        const form = { method: 'POST', mode: 'no-cors', body: new URLSearchParams('${form}') };
        await attempt('form', '${stack.http}/', form);
        await attempt('bodyless', '${events}', { method: 'POST', mode: 'no-cors' });
        await attempt('text', '${events}', { method: 'POST', mode: 'no-cors', body: '1' });
        await attempt('unreferred', '${events}', { method: 'POST', mode: 'no-cors', referrerPolicy: 'no-referrer' });
        await attempt('json', '${events}', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '1' });
        await attempt('delete', '${stack.http}${F}/echo', { method: 'DELETE' });
        await attempt('read', '${stack.http}${F}', {});
        await attempt('blind', '${stack.http}${F}', { mode: 'no-cors' });
        seen.beacon = navigator.sendBeacon('${events}', '1');
        const element = document.createElement('form');
        element.method = 'POST'; element.action = '${events}'; element.target = 'sink';
        document.body.append(element); element.submit();
        await new Promise((resolve) => { document.querySelector('iframe').addEventListener('load', resolve); setTimeout(resolve, 3000); });
        await fetch('/report', { method: 'POST', body: JSON.stringify(seen) });
      })();
    </script>`;
    const evil = createServer((request, response) => {
      if (request.url !== '/report') return void response.setHeader('content-type', 'text/html').end(page);
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
      request.on('end', () => {
        reported = body;
        response.end();
      });
    });
    await new Promise<void>((resolve) => evil.listen(0, '127.0.0.1', resolve));
    const address = evil.address();
    const port = typeof address === 'object' && address ? address.port : 0;
    const folder = tempDir('chromium');
    const before = (await stack.rest.list('echo')).length;
    const args = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-proxy-server',
      '--remote-debugging-port=0',
      `--user-data-dir=${folder.path}`,
    ];
    // One page on another port of this machine, and one on another name of it: same site, and another.
    try {
      for (const host of ['127.0.0.1', 'localhost']) {
        reported = undefined;
        // A port to debug it by keeps it open until it is ended.
        const browser = spawn(CHROMIUM ?? '', [...args, `http://${host}:${port}/`], { stdio: 'ignore' });
        const left = once(browser, 'close');
        try {
          await eventually(() => assert.ok(reported !== undefined, 'the page has run'), 30_000);
        } finally {
          browser.kill();
          await left;
        }
        const seen = JSON.parse(reported ?? '{}') as Record<string, unknown>;
        for (const name of ['json', 'delete', 'read', 'blind']) assert.equal(seen[name], 'failed', `${host} ${name}`);
      }
    } finally {
      evil.close();
      evil.closeAllConnections();
      folder.remove();
    }
    assert.equal((await stack.rest.list('echo')).length, before, 'no event was made');
    assert.equal((await stack.rest.call('GET', `${F}/echo`)).status, 200);
  });
});
