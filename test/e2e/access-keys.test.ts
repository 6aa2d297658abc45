import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { isRefusal } from '@evenfall/errors';
import { grpcClient } from '@evenfall/rpc';
import { tempDir } from '@evenfall/testkit';
import { runCli } from '../support/cli.ts';
import { createRestClient, type RestClient } from '../support/rest-client.ts';
import { failingStack, type Stack, startStack } from '../support/stack.ts';

const KEY = 'ann:a-secret-of-ann';
const F = '/v1/namespaces/default/functions';

describe('a platform with access keys', () => {
  let stack: Stack;
  /** Calls without a key. */
  let stranger: RestClient;
  before(async () => {
    stack = await startStack({ env: { EVENFALL_ACCESS_KEYS: `${KEY},bob:a-secret-of-bob` } });
    stranger = createRestClient(stack.http);
  });
  after(() => stack.dispose());

  it('asks for one at every path but the probes', async () => {
    const id = '01990000-0000-7000-8000-00000000dead';
    const paths = [
      F,
      `/v1/events/${id}`,
      `/v1/events/${id}:watch`,
      `/v1/events/${id}/logs?follow=true`,
      '/v1/agents',
      '/v1/instances',
      '/v1/nothing',
    ];
    for (const path of paths) {
      const answer = await stranger.call('GET', path);
      assert.equal(answer.status, 401, path);
      assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/);
      assert.match(JSON.stringify(answer.body), /"reason":"UNAUTHENTICATED"/);
    }
    for (const path of [`/v1/events/${id}:terminate`, `${F}/echo/events`, `${F}/echo/events:batchCreate`, `${F}/echo:invoke`, F])
      assert.equal((await stranger.call('POST', path, {})).status, 401, path);
    for (const path of ['/healthz', '/readyz']) assert.equal((await stranger.call('GET', path)).status, 200, path);
  });

  it('accepts a caller with a key, and none with half of one', async () => {
    const call = (authorization: string) => stranger.call('GET', F, undefined, { headers: { authorization } });
    assert.equal((await call(`Bearer ${KEY}`)).status, 200);
    for (const wrong of [
      `Bearer ${KEY}x`,
      `Bearer ${KEY.slice(0, -1)}`,
      'Bearer ann:',
      'Bearer ',
      `Basic ${KEY}`,
      KEY,
      'Bearer bob:a-secret-of-ann',
    ])
      assert.equal((await call(wrong)).status, 401, wrong);
  });

  it('writes on the receipt who asked', async () => {
    const rest = createRestClient(stack.http, { authorization: `Bearer ${KEY}` });
    await rest.deployExample('echo');
    const { id } = await rest.send('echo', 1, { headers: { 'evenfall-delay': '1h' } });
    const { body } = await rest.terminate(id, { reason: 'because' });
    assert.deepEqual([body.termination?.requester, body.termination?.reason], ['ann', 'because']);
  });

  it('asks for one over gRPC', async () => {
    const { client, close } = grpcClient(FunctionServiceService, stack.grpc);
    const list = { namespace: 'default', pageSize: 0, pageToken: '', filter: '' };
    try {
      await assert.rejects(client.listFunctions(list), (error) => isRefusal(error) && error.reason === 'UNAUTHENTICATED');
      const { functions } = await client.listFunctions(list, { headers: { authorization: `Bearer ${KEY}` } });
      assert.deepEqual(
        functions.map(({ name }) => name),
        ['echo'],
      );
    } finally {
      close();
    }
  });

  it('takes one from the command line', async () => {
    const refused = await runCli({ http: stack.http, accessKey: '' }, ['functions', 'list'], { EVENFALL_DATA_DIR: stack.dataDir });
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /access key/);
    const accepted = await runCli(stack, ['--json', 'functions', 'list'], { EVENFALL_ACCESS_KEY: KEY });
    assert.equal(accepted.code, 0, accepted.stderr);
  });

  it('says its secrets nowhere', () => assert.doesNotMatch(stack.stderr(), /a-secret-of/));
});

describe('a platform without keys of its own', () => {
  it('makes one at its first start, names its file, and says it nowhere; callers find it', async () => {
    const dir = tempDir('own-key');
    let stack = await startStack({ dataDir: join(dir.path, 'data') });
    try {
      const key = stack.accessKey;
      assert.match(key, /^local:[\w-]{43}$/);
      assert.equal(statSync(join(stack.dataDir, 'access-key')).mode & 0o777, 0o600);
      assert.equal((await createRestClient(stack.http).call('GET', F)).status, 401);
      const found = await runCli({ http: stack.http, accessKey: '' }, ['--json', 'functions', 'list'], {
        EVENFALL_DATA_DIR: stack.dataDir,
      });
      assert.equal(found.code, 0, found.stderr);
      assert.ok(!stack.stderr().includes(key.slice(6)));
      await stack.stop();
      await stack.dispose();
      stack = await startStack({ dataDir: join(dir.path, 'data') });
      assert.equal(stack.accessKey, key, 'the same after a restart');
      assert.equal((await stack.rest.call('GET', F)).status, 200);
    } finally {
      await stack.dispose();
      dir.remove();
    }
  });

  it('is open only where the settings say so, and reports it', async () => {
    const stack = await startStack({ env: { EVENFALL_OPEN: 'yes' } });
    try {
      const withoutKey = createRestClient(stack.http);
      assert.equal((await withoutKey.call('GET', F)).status, 200);
      assert.match(stack.stderr(), /warn gateway the APIs are open/);
      assert.match(JSON.stringify((await withoutKey.call('GET', '/readyz')).body), /the APIs are open/);
      const { stdout } = await runCli({ http: stack.http, accessKey: '' }, ['doctor']);
      assert.match(stdout, /the APIs are open/);
    } finally {
      await stack.dispose();
    }
  });
});

describe('a platform that should not start', () => {
  it('does not open its APIs to a network', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
      const { code, stdout, stderr } = await failingStack({ EVENFALL_HOST: host, EVENFALL_OPEN: 'yes' });
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /EVENFALL_HOST=".*" with EVENFALL_OPEN="yes": others than this machine could call without a key/);
      assert.doesNotMatch(stderr, /\n\s+at /, 'a sentence, not a stack');
    }
  });

  it('lists every bad setting at once, and shows no secret', async () => {
    const { code, stdout, stderr } = await failingStack({
      EVENFALL_HTTP_PORT: '70000',
      EVENFALL_GRPC_PORT: 'ninety',
      EVENFALL_LEASE: 'soon',
      EVENFALL_LANE_LIMIT: '0',
      EVENFALL_LOG_LEVEL: 'loud',
      EVENFALL_RETENTION: '1s',
      EVENFALL_ACCESS_KEYS: 'no-colon-but-secret',
      EVENFALL_POSTGRES_URL: 'mysql://user:hush@host', // secretlint-disable-line
    });
    assert.deepEqual([code, stdout], [1, '']);
    for (const name of ['HTTP_PORT', 'GRPC_PORT', 'LEASE', 'LANE_LIMIT', 'LOG_LEVEL', 'RETENTION', 'ACCESS_KEYS', 'POSTGRES_URL'])
      assert.match(stderr, new RegExp(`EVENFALL_${name}`), stderr);
    assert.doesNotMatch(stderr, /no-colon-but-secret|hush/);
  });

  it('says so when its port is taken', async () => {
    const stack = await startStack();
    try {
      const { code, stderr } = await failingStack({ EVENFALL_HTTP_PORT: new URL(stack.http).port });
      assert.equal(code, 1);
      assert.match(stderr, /^Port \d+ of 127\.0\.0\.1 is taken by another program\. .*EVENFALL_HTTP_PORT.*\n$/);
    } finally {
      await stack.dispose();
    }
  });

  it('does not share a data folder with another', async () => {
    const stack = await startStack();
    try {
      const { code, stderr } = await failingStack({ EVENFALL_DATA_DIR: stack.dataDir });
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`process ${stack.pid}.*uses the data folder`));
      assert.equal((await stack.rest.call('GET', '/readyz')).status, 200, 'the first one lives on');
    } finally {
      await stack.dispose();
    }
  });
});
