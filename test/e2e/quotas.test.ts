import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import { createRestClient } from '../support/rest-client.ts';
import { refusedWith, scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/functions/${name}`, import.meta.url));
const EVENTS = (fn: string): string => `/v1/namespaces/default/functions/${fn}/events`;

describe('a platform with quotas', { timeout: 240_000 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.dispose());
  const cli = (...args: string[]) => runCli(stack, args);
  const done = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await cli(...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}${stdout}`);
    return stdout;
  };
  const post = async (fn: string, accessKey = stack.accessKey) =>
    (await createRestClient(stack.http, { authorization: `Bearer ${accessKey}` }).call('POST', EVENTS(fn), {})).status;
  const instances = async (): Promise<string[]> => {
    const { body } = await stack.rest.call<{ instances: readonly { function: string }[] }>('GET', '/v1/instances');
    return body.instances.map((one) => one.function);
  };

  it('limits functions and versions exactly, and says what is used', async () => {
    await done('deploy', example('echo'));
    await done('quotas', 'set', 'namespace', 'default', '--functions', '2', '--versions', '1', '--code-bytes', '1000000');
    await done('deploy', example('graceful-killer'), '--publish');
    const { code, stderr } = await cli('deploy', example('sleeps'));
    assert.equal(code, 1);
    assert.match(stderr, /Namespace "default" has 2 functions and would have 3; its quota is 2/);
    assert.match((await cli('functions', 'publish', 'echo')).stderr, /1 versions and would have 2/);
    assert.match(
      await done('quotas', 'get', 'namespace', 'default'),
      /functions {3}2, 2 used\n {2}versions {4}1, 1 used\n {2}code bytes {2}1000000, \d+ used/,
    );
    assert.match(await done('quotas', 'list'), /^default +no limit +no limit +2 +1 +1000000 +no limit/m);
    await refusedWith('LimitExceeded.FunctionVersions', scfClient(stack).PublishVersion({ FunctionName: 'echo' }));
    assert.match(await done('audit', '--action', 'quotas.manage'), /putNamespaceQuota +default +OK/);
    assert.equal((await cli('quotas', 'set', 'team', 'x')).code, 2);
    assert.equal((await cli('quotas', 'set', 'namespace', 'x', '--functions', 'many')).code, 2);
  });

  it('limits events a second of a key, and of no other', async () => {
    const { stdout } = await cli('--json', 'keys', 'create', '--role', 'invoker', '--id', 'noisy', '--scf');
    const { secret } = JSON.parse(stdout) as { secret: string };
    const noisy = `noisy:${secret}`;
    await done('quotas', 'set', 'key', 'noisy', '--rate', '1', '--burst', '5');
    await eventually(async () => {
      const statuses = await Promise.all(Array.from({ length: 10 }, () => post('echo', noisy)));
      return statuses.includes(429) && statuses.includes(202);
    });
    await refusedWith(
      'RequestLimitExceeded',
      (async () => {
        for (let n = 0; n < 20; n++) await scfClient({ http: stack.http, accessKey: noisy }).Invoke({ FunctionName: 'echo' });
      })(),
    );
    for (let n = 0; n < 10; n++) assert.equal(await post('echo'), 202);
    assert.match(await done('quotas', 'list', '--keys'), /noisy +1 a second, 5 at once/);
    await done('quotas', 'delete', 'key', 'noisy');
    await eventually(async () =>
      (await Promise.all(Array.from({ length: 10 }, () => post('echo', noisy)))).every((status) => status === 202),
    );
  });

  it('limits instances, and what waits for them', async () => {
    await done('quotas', 'set', 'namespace', 'default', '--instances', '2', '--queued', '4');
    // Two run, the others wait; what was idle of other functions makes way.
    await eventually(async () => {
      while ((await post('graceful-killer')) === 202);
      const running = await instances();
      const { body } = await stack.rest.call('GET', `${EVENTS('graceful-killer')}:count`);
      const isFull = /"QUEUED","count":4.*"RUNNING","count":2/.test(JSON.stringify(body));
      return isFull && running.length === 2 && running.every((name) => name === 'graceful-killer');
    }, 20_000);
    const refused = await stack.rest.call('POST', EVENTS('graceful-killer'), {});
    assert.match(JSON.stringify(refused.body), /TOO_MANY_QUEUED_EVENTS/);
    assert.ok(refused.headers.get('retry-after'));
    const called = await stack.rest.call('POST', '/v1/namespaces/default/functions/echo:invoke', {});
    assert.equal(called.status, 429);
    assert.match(JSON.stringify(called.body), /INSTANCE_QUOTA_EXHAUSTED/);
    assert.ok((await instances()).length <= 2);
    await done('quotas', 'delete', 'namespace', 'default');
    await eventually(async () => (await post('graceful-killer')) === 202);
    assert.equal((await stack.rest.call('POST', '/v1/namespaces/default/functions/echo:invoke', {})).status, 200);
  });
});
