import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import type { ErrorAnswer } from '../support/rest-client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { zipOf } from '../support/zip.ts';

const FUNCTIONS = '/v1/namespaces/default/functions';
const HANDLER = 'def handler(event, context):\n    return event\n';

describe('the APIs of a running platform', () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
    await stack.rest.deployExample('echo');
  });
  after(() => stack.dispose());

  it('patch what is named, and keep the rest, secrets too', async () => {
    const settings = {
      event_invoke: {
        max_retries: 0,
        retry_interval: '5s',
        on_failure: { webhook: { url: 'https://example.com/x', secret: 's'.repeat(16) } },
      },
      termination: { kill_signal: 'SIGINT', grace_period: '7s', max_grace_period: '100s' },
      termination_by_cause: { drain: { grace_period: '3s' }, update: { kill_signal: 'SIGQUIT' } },
    };
    await stack.rest.deploy({ name: 'patched', runtime: 'python3', handler: 'index.handler', ...settings }, { 'index.py': HANDLER });
    const patch = async (body: object) => {
      const answer = await stack.rest.call<Record<string, Record<string, unknown>>>('PATCH', `${FUNCTIONS}/patched`, body);
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      return answer.body;
    };
    const hook = { webhook: { url: 'https://example.com/x', secret_set: true } };
    const one = await patch({ event_invoke: { max_retries: 1 } });
    assert.deepEqual(one['event_invoke'], { max_retries: 1, retry_interval: '5s', max_event_age: '21600s', on_failure: hook });
    const two = await patch({ termination: { grace_period: '9s' }, termination_by_cause: { drain: { kill_signal: 'SIGHUP' } } });
    assert.deepEqual(
      [two['termination']?.['kill_signal'], two['termination']?.['grace_period'], two['termination']?.['max_grace_period']],
      ['SIGINT', '9s', '100s'],
    );
    assert.deepEqual(Object.keys(two['termination_by_cause'] ?? {}).sort(), ['drain', 'update']);
    const three = await patch({ event_invoke: { on_failure: { webhook: { url: 'https://example.com/x' } }, retry_interval: null } });
    assert.deepEqual(three['event_invoke'], { max_retries: 1, retry_interval: '60s', max_event_age: '21600s', on_failure: hook });
    const moved = await stack.rest.call('PATCH', `${FUNCTIONS}/patched`, {
      event_invoke: { on_failure: { webhook: { url: 'https://other.example' } } },
    });
    assert.equal(moved.status, 400, 'a secret does not go to another URL');
    const four = await patch({ event_invoke: { on_failure: { function: 'echo' } } });
    assert.deepEqual(four['event_invoke']?.['on_failure'], { function: 'echo' });
    assert.equal((await patch({ event_invoke: { on_failure: null } }))['event_invoke']?.['on_failure'], undefined);
  });

  it('refuse packages that no host could run', async () => {
    const deploy = async (fn: object, files: Record<string, string>) => {
      const code = (await zipOf(files)).toString('base64');
      return stack.rest.call<ErrorAnswer>('POST', FUNCTIONS, { timeout: '5s', ...fn, code_zip: code });
    };
    const long = await deploy({ name: 'long', runtime: 'python3', handler: 'index.h' }, { 'index.py': '', [`${'x'.repeat(300)}.txt`]: '' });
    assert.deepEqual([long.status, long.body.error.details[0]?.reason], [400, 'INVALID_CODE_PACKAGE']);
    for (const [runtime, file] of [
      ['custom', 'bootstrap'],
      ['web', 'scf_bootstrap'],
      ['go1', 'main'],
    ] as const) {
      const plain = await deploy({ name: 'plain', runtime }, { [file]: 'no program' });
      assert.equal(plain.status, 400);
      assert.match(plain.body.error.message, /is not executable/);
    }
  });

  it('take Python handlers in packages, and run them', async () => {
    for (const [name, handler, file] of [
      ['in-package', 'pkg.handler', 'pkg/__init__.py'],
      ['in-module', 'src.app.main.handler', 'src/app/main.py'],
    ] as const) {
      await stack.rest.deploy({ name, runtime: 'python3', handler, timeout: '10s' }, { [file]: HANDLER });
      const { id } = await stack.rest.send(name, { n: 1 });
      const event = await stack.rest.ended(id);
      assert.deepEqual([event.state, event.result], ['SUCCEEDED', { n: 1 }], JSON.stringify(event.error));
    }
  });

  it('list by the qualifier that an event shows', async () => {
    const { id, qualifier } = await stack.rest.send('echo', 1, { headers: { 'evenfall-qualifier': '$DEFAULT' } });
    assert.equal(qualifier, '$DEFAULT');
    await stack.rest.ended(id);
    const found = await stack.rest.list('echo', `qualifier=${encodeURIComponent('$DEFAULT')}`);
    assert.deepEqual(
      found.map((event) => event.id),
      [id],
    );
  });

  it('speak HTTP as probes and proxies do', async () => {
    const { port } = new URL(stack.http);
    const statusOf = (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer) =>
      new Promise<number>((resolve, reject) => {
        const asked = request({ port, host: '127.0.0.1', method, path, headers: { ...stack.headers, ...headers } }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        asked.on('error', reject);
        asked.end(body);
      });
    assert.equal(await statusOf('HEAD', '/healthz'), 200);
    assert.equal(await statusOf('QUERY', '/v1/agents'), 405);
    assert.equal(await statusOf('OPTIONS', '/v1/agents'), 204);
    assert.equal(await statusOf('GET', '/docs/static/../'), 404);
    const gzip = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    assert.equal(await statusOf('POST', `${FUNCTIONS}/echo/events`, gzip, gzipSync('{"n":1}')), 202);
    assert.equal(await statusOf('POST', `${FUNCTIONS}/echo/events`, { ...gzip, 'content-encoding': 'br' }, gzipSync('1')), 415);
    assert.equal(stack.stderr().includes('REST call failed'), false, stack.stderr());
  });
});
