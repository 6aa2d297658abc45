import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { isRefusal } from '@evenfall/errors';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import { createRestClient } from '../support/rest-client.ts';
import { exampleZip, refusedWith, scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/functions/${name}`, import.meta.url));
const FUNCTIONS = '/v1/namespaces/default/functions';
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
    assert.match(stderr, /The namespace "default" has 2 functions and would have 3; its quota is 2/);
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

  it('limits functions, versions and code of a key exactly, in the words of each API', async () => {
    await done('quotas', 'delete', 'namespace', 'default');
    const { stdout } = await cli('--json', 'keys', 'create', '--role', 'admin', '--id', 'builder', '--scf');
    const builder = `builder:${(JSON.parse(stdout) as { secret: string }).secret}`;
    const scf = scfClient({ http: stack.http, accessKey: builder });
    const rest = createRestClient(stack.http, { authorization: `Bearer ${builder}` });
    const { client, close } = grpcClient(FunctionServiceService, stack.grpc, {
      headers: { authorization: `Bearer ${builder}` },
    });
    await done('quotas', 'set', 'key', 'builder', '--functions', '2', '--versions', '1', '--code-bytes', '1000000');
    const code = await exampleZip('echo');
    const made = { Runtime: 'Nodejs18.15', Handler: 'index.handler', Code: { ZipFile: code } };
    await scf.CreateFunction({ FunctionName: 'of-builder', ...made });
    const body = { runtime: 'nodejs', handler: 'index.handler', code_zip: code };
    assert.equal((await rest.call('POST', FUNCTIONS, { name: 'second', ...body })).status, 201);
    const third = await rest.call('POST', FUNCTIONS, { name: 'third', ...body });
    assert.equal(third.status, 429);
    assert.match(JSON.stringify(third.body), /"reason":"QUOTA_EXCEEDED".*"scope":"key","name":"builder"/);
    assert.match(
      await refusedWith('LimitExceeded.Function', scf.CreateFunction({ FunctionName: 'third', ...made })),
      /The key "builder" has 2 functions and would have 3; its quota is 2/,
    );
    await client.publishFunctionVersion({ namespace: 'default', name: 'second', description: '' });
    await assert.rejects(client.publishFunctionVersion({ namespace: 'default', name: 'second', description: '' }), (error) => {
      assert.ok(isRefusal(error));
      return error.reason === 'QUOTA_EXCEEDED' && error.status === 'RESOURCE_EXHAUSTED' && error.metadata['quota'] === 'versions';
    });
    close();
    await refusedWith('LimitExceeded.FunctionVersions', scf.PublishVersion({ FunctionName: 'of-builder' }));
    // A key without a quota is not limited, and what it makes counts for no other key.
    assert.equal((await stack.rest.call('POST', FUNCTIONS, { name: 'third', ...body })).status, 201);
    await done('quotas', 'set', 'key', 'builder', '--code-bytes', '10');
    const large = await rest.call('POST', FUNCTIONS, { name: 'fourth', ...body, runtime: 'python3', code_zip: await exampleZip('sleeps') });
    assert.match(JSON.stringify(large.body), /"quota":"bytes of code"/);
    assert.match(
      await done('quotas', 'get', 'key', 'builder'),
      /functions {3}no limit, 2 used\n {2}versions {4}no limit, 1 used\n {2}code bytes {2}10, \d+ used/,
    );
    assert.match((await cli('quotas', 'set', 'key', 'builder', '--instances', '1')).stderr, /instances/);
  });

  it('limits what waits of a key, whichever function it is of', async () => {
    const { stdout } = await cli('--json', 'keys', 'create', '--role', 'invoker', '--id', 'patient', '--scf');
    const patient = `patient:${(JSON.parse(stdout) as { secret: string }).secret}`;
    await done('quotas', 'set', 'key', 'patient', '--queued', '3');
    // A change of a quota holds within a second.
    const delayed = (fn: string, accessKey: string) =>
      createRestClient(stack.http, { authorization: `Bearer ${accessKey}`, 'evenfall-delay': '1h' }).call('POST', EVENTS(fn), {});
    const accepted: string[] = [];
    await eventually(async () => {
      const { status, body } = await delayed(accepted.length % 2 === 0 ? 'echo' : 'second', patient);
      if (status === 202) accepted.push((body as { id: string }).id);
      return status === 429 && /"TOO_MANY_QUEUED_EVENTS".*"scope":"key","name":"patient"/.test(JSON.stringify(body));
    });
    assert.ok(accepted.length >= 3);
    await refusedWith(
      'LimitExceeded.Quota',
      scfClient({ http: stack.http, accessKey: patient }).Invoke({ FunctionName: 'echo', InvocationType: 'Event' }),
    );
    const other = await delayed('echo', stack.accessKey);
    assert.equal(other.status, 202, 'other keys go on');
    for (const id of [...accepted.splice(0), (other.body as { id: string }).id])
      assert.equal((await stack.rest.call('POST', `/v1/events/${id}:terminate`, {})).status, 200);
    await eventually(async () => {
      const { status, body } = await delayed('echo', patient);
      if (status === 202) accepted.push((body as { id: string }).id);
      return accepted.length > 0;
    });
    for (const id of accepted) assert.equal((await stack.rest.call('POST', `/v1/events/${id}:terminate`, {})).status, 200);
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
