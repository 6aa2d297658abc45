import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, patient } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import { createRestClient, type RestClient } from '../support/rest-client.ts';
import { exampleZip, refusedWith, scfClient } from '../support/scf-client.ts';
import { type Stack, startStack } from '../support/stack.ts';

const example = (name: string): string => fileURLToPath(new URL(`../../examples/functions/${name}`, import.meta.url));
const ECHO = '/v1/namespaces/default/functions/echo';

type NewKey = { readonly access_key: { readonly id: string; readonly revoke_time: string | null }; readonly secret: string };
type Records = { readonly audit_records: readonly Readonly<Record<string, string | null>>[] };

describe('a platform whose keys have roles', { timeout: 240_000 }, () => {
  let stack: Stack;
  before(async () => {
    stack = await startStack();
  });
  after(() => stack.dispose());
  const cliAs = async (accessKey: string, ...args: string[]) => runCli({ http: stack.http, accessKey }, args);
  const cli = async <T>(...args: string[]): Promise<T> => {
    const { code, stdout, stderr } = await cliAs(stack.accessKey, '--json', ...args);
    assert.equal(code, 0, `${args.join(' ')}: ${stderr}${stdout}`);
    return JSON.parse(stdout) as T;
  };
  const create = async (...args: string[]): Promise<string> => {
    const { access_key: key, secret } = await cli<NewKey>('keys', 'create', ...args);
    return `${key.id}:${secret}`;
  };
  const restOf = (accessKey: string): RestClient => createRestClient(stack.http, { authorization: `Bearer ${accessKey}` });
  const statusOf = async (accessKey: string): Promise<number> => (await restOf(accessKey).call('GET', ECHO)).status;

  it('has a deployer deploy and an invoker call, and neither do the work of the other', async () => {
    const deployer = await create('--role', 'deployer', '--id', 'pipeline');
    const invoker = await create('--role', 'invoker', '--id', 'app');
    const elsewhere = await create('--role', 'deployer', '--on', 'other');
    assert.equal((await cliAs(invoker, 'deploy', example('echo'))).code, 1);
    const refused = await cliAs(elsewhere, 'deploy', example('echo'));
    assert.match(refused.stderr, /has no right to functions\.\w+ in namespace "default"/);
    const deployed = await cliAs(deployer, 'deploy', example('echo'));
    assert.equal(deployed.code, 0, deployed.stderr);
    assert.equal((await cliAs(deployer, 'deploy', example('graceful-killer'))).code, 0);
    assert.match((await cliAs(invoker, 'invoke', 'echo', '--payload', '{"n":1}')).stdout, /"n":\s*1/);
    assert.match((await cliAs(deployer, 'invoke', 'echo')).stderr, /functions\.invoke/);
    assert.match((await cliAs(invoker, 'keys', 'list')).stderr, /keys\.read/);
  });

  it("serves Tencent Cloud's SDK with a key of an invoker, and refuses it beyond that in words of SCF", async () => {
    const key = await create('--role', 'invoker', '--id', 'sdk', '--scf');
    for (const signMethod of ['TC3-HMAC-SHA256', 'HmacSHA256'] as const) {
      const client = scfClient({ http: stack.http, accessKey: key }, { signMethod });
      const { Result } = await client.Invoke({ FunctionName: 'echo', ClientContext: '{"n":2}' });
      assert.equal(Result?.InvokeResult, 0);
      const { Result: queued } = await client.Invoke({ FunctionName: 'graceful-killer', InvocationType: 'Event', ClientContext: '{}' });
      const InvokeRequestId = queued?.FunctionRequestId ?? '';
      await eventually(async () => (await client.GetAsyncEventStatus({ InvokeRequestId })).Result?.Status === 'RUNNING', 20_000);
      await client.TerminateAsyncEvent({ FunctionName: 'graceful-killer', InvokeRequestId });
      const Code = { ZipFile: await exampleZip('echo') };
      const message = await refusedWith(
        'UnauthorizedOperation',
        client.CreateFunction({ FunctionName: 'mine', Runtime: 'Nodejs18.15', Handler: 'index.handler', Code }),
      );
      assert.match(message, /not authorized.*invoker.*functions\.write/);
      await refusedWith('UnauthorizedOperation', client.DeleteFunction({ FunctionName: 'echo' }));
      await refusedWith('UnauthorizedOperation', client.Invoke({ FunctionName: 'echo', Namespace: 'other' }));
    }
    const plain = await create('--role', 'invoker', '--id', 'not-scf');
    await refusedWith('AuthFailure.SignatureFailure', scfClient({ http: stack.http, accessKey: plain }).Invoke({ FunctionName: 'echo' }));
  });

  it('ends a key within a second, while its calls run, and never lets it in again', async () => {
    const key = await create('--role', 'viewer', '--id', 'short');
    assert.equal(await statusOf(key), 200);
    const seen: { readonly atMs: number; readonly status: number }[] = [];
    let isOver = false;
    const calls = (async () => {
      while (!isOver) seen.push({ status: await statusOf(key), atMs: performance.now() });
    })();
    await eventually(() => seen.length > 5);
    const { body } = await restOf(stack.accessKey).call('POST', '/v1/access-keys/short:revoke');
    const revokedMs = performance.now();
    assert.ok((body as { revoke_time: string }).revoke_time);
    await eventually(() => seen.some(({ status }) => status === 401));
    isOver = true;
    await calls;
    const first = seen.findIndex(({ status }) => status === 401);
    assert.ok((seen[first]?.atMs ?? Infinity) - revokedMs < patient(1_000));
    assert.deepEqual([...new Set(seen.slice(0, first).map(({ status }) => status))], [200]);
    assert.deepEqual([...new Set(seen.slice(first).map(({ status }) => status))], [401]);
  });

  it('gives a key a new secret, with the old one good beside it for as long as is asked for', async () => {
    const old = await create('--role', 'viewer', '--id', 'turning');
    const { secret } = await cli<NewKey>('keys', 'rotate', 'turning', '--overlap', '1h');
    await eventually(async () => (await statusOf(`turning:${secret}`)) === 200);
    assert.equal(await statusOf(old), 200);
    const { secret: third } = await cli<NewKey>('keys', 'rotate', 'turning');
    await eventually(async () => (await statusOf(`turning:${third}`)) === 200);
    for (const gone of [old, `turning:${secret}`]) assert.equal(await statusOf(gone), 401);
  });

  it('lets a key expire', async () => {
    const key = await create('--role', 'viewer', '--id', 'brief', '--expires', '2s');
    assert.equal(await statusOf(key), 200);
    await eventually(async () => (await statusOf(key)) === 401, 10_000);
  });

  it('ends the open streams of a key that is revoked', async () => {
    const key = await create('--role', 'invoker', '--id', 'watcher');
    const rest = restOf(key);
    const { body } = await rest.call('POST', '/v1/namespaces/default/functions/graceful-killer/events', {});
    const response = await fetch(`${stack.http}/v1/events/${(body as { id: string }).id}:watch`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const reader = response.body?.getReader();
    assert.ok(!(await reader?.read())?.done);
    await cli('keys', 'revoke', 'watcher');
    for (let isDone = false; !isDone;) isDone = (await reader?.read())?.done ?? true;
  });

  it('takes nothing from a request whose key was revoked before all of it had come', async () => {
    const key = await create('--role', 'admin', '--id', 'leaving');
    const body = JSON.stringify({ id: 'left-behind', role: 'ADMIN', namespaces: ['*'] });
    const request = httpRequest(new URL('/v1/access-keys', stack.http), {
      method: 'POST',
      headers: {
        authorization: `Bearer ${key}`,
        'content-type': 'application/json',
        'content-length': body.length,
        expect: '100-continue',
      },
    });
    request.flushHeaders();
    await once(request, 'continue'); // the key was good
    request.write(body.slice(0, 9));
    await cli('keys', 'revoke', 'leaving');
    await eventually(async () => (await statusOf(key)) === 401);
    request.end(body.slice(9));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    assert.equal(response.statusCode, 401);
    response.resume();
    assert.equal((await restOf(stack.accessKey).call('GET', '/v1/access-keys/left-behind')).status, 404);
    const [record] = (await cli<Records>('audit', '--key', 'leaving', '--action', 'keys.manage')).audit_records;
    assert.equal(record?.['outcome'], 'UNAUTHENTICATED');
  });

  it('names nothing of other namespaces in the pages of a list', async () => {
    const key = await create('--role', 'admin', '--id', 'of-team-a', '--on', 'team-a');
    for (const id of ['aa-others', 'zz-others']) await create('--role', 'viewer', '--id', id, '--on', 'default');
    for (const id of ['one', 'two', 'three']) await create('--role', 'viewer', '--id', `team-a-${id}`, '--on', 'team-a');
    for (const namespace of ['aa-others', 'team-a', 'zz-others'])
      await restOf(stack.accessKey).call('PUT', `/v1/namespaces/${namespace}/quota`, { functions: 100 });
    await restOf(stack.accessKey).call('POST', '/v1/namespaces/default/functions/graceful-killer/events', {});
    await eventually(async () => JSON.stringify((await restOf(stack.accessKey).call('GET', '/v1/instances')).body).includes('"default"'));
    await eventually(async () => (await restOf(key).call('GET', '/v1/access-keys')).status === 200);
    const shown = async (list: string, field: string): Promise<string[]> => {
      const found: string[] = [];
      for (let token = ''; ;) {
        type Page = Readonly<Record<string, readonly Readonly<Record<string, string>>[]>> & { readonly next_page_token: string };
        const { body } = await restOf(key).call<Page>('GET', `/v1/${list}?page_size=1&page_token=${token}`);
        const items = body[list.replaceAll('-', '_')] ?? [];
        found.push(...items.map((item) => item[field] ?? ''));
        token = body.next_page_token;
        if (token === '') return found;
        assert.equal(items.length, 1, 'a page that is short says that there are others');
        const [, named] = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as [string, string];
        assert.equal(named, found.at(-1));
      }
    };
    assert.deepEqual(await shown('access-keys', 'id'), ['of-team-a', 'team-a-one', 'team-a-three', 'team-a-two']);
    assert.deepEqual(await shown('namespace-quotas', 'namespace'), ['team-a']);
    assert.deepEqual(await shown('instances', 'id'), []);
  });

  it('has a record of every change: who, from where, what, and what came of it', async () => {
    const find = async (...filter: string[]) => (await cli<Records>('audit', '--limit', '100', ...filter)).audit_records;
    const [deploy] = (await find('--key', 'pipeline', '--subject', 'echo')).toReversed();
    assert.deepEqual(
      [deploy?.['operation'], deploy?.['namespace'], deploy?.['outcome'], deploy?.['api'], deploy?.['address']],
      ['createFunction', 'default', 'OK', 'REST', '127.0.0.1'],
    );
    const refused = await find('--key', 'app', '--action', 'functions.write');
    assert.ok(refused.length > 0 && refused.every(({ outcome }) => outcome === 'ROLE_FORBIDS'));
    const ended = await eventually(async () => {
      const records = await find('--key', 'sdk', '--action', 'events.terminate');
      return records.length === 2 && records;
    });
    assert.deepEqual(
      new Set(ended.map(({ api, operation, outcome }) => `${api} ${operation} ${outcome}`)),
      new Set(['SCF TerminateAsyncEvent OK']),
    );
    const keys = await find('--action', 'keys.manage', '--subject', 'short');
    assert.deepEqual(
      keys.map(({ operation }) => operation),
      ['revokeAccessKey', 'createAccessKey'],
    );
    assert.ok(!JSON.stringify(await find()).includes('secret'));
  });

  it('knows its keys after a restart, also those that sign', async () => {
    const key = await create('--role', 'invoker', '--id', 'lasting', '--scf');
    const { dataDir } = stack;
    await stack.stop();
    const again = await startStack({ dataDir });
    try {
      assert.equal((await createRestClient(again.http, { authorization: `Bearer ${key}` }).call('GET', ECHO)).status, 200);
      const { Result } = await scfClient({ http: again.http, accessKey: key }).Invoke({ FunctionName: 'echo' });
      assert.equal(Result?.InvokeResult, 0);
    } finally {
      await again.dispose();
    }
  });
});
