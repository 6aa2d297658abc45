import assert from 'node:assert/strict';
import { before, beforeEach, describe, it } from 'node:test';
import { ACCESS_KEY_HEADER, keyHeader, keyIdOf } from '@evenfall/access';
import { AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';
import { CreateEventRequest, EventServiceService } from '@evenfall/contracts/v1/event_service';
import { CreateFunctionRequest, FunctionServiceService } from '@evenfall/contracts/v1/function_service';
import { InvocationServiceService, InvokeFunctionRequest } from '@evenfall/contracts/v1/invocation_service';
import { KeyQuota, NamespaceQuota, QuotaServiceService } from '@evenfall/contracts/v1/quota_service';
import { isRefusal, type Reason, refuse } from '@evenfall/errors';
import { type CallOptions, grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { call, callScf, KEY, openApis, WITH_KEY } from '../testing/harness.ts';
import { bearerOf, keptKey } from '../testing/keys.ts';

const FUNCTION = '/v1/namespaces/default/functions/killer';
const EVENTS = `${FUNCTION}/events`;
type ErrorBody = { readonly error: { readonly code: number; readonly status: string; readonly details: readonly Detail[] } };
type Detail = { readonly reason: Reason; readonly metadata: Record<string, string> };
const detailOf = (json: unknown): Detail | undefined => (json as ErrorBody).error.details[0];
type ScfAnswer = { readonly Response: { readonly Error?: { readonly Code: string; readonly Message: string } } };
const scfCodeOf = (json: unknown): string | undefined => (json as ScfAnswer).Response.Error?.Code;

describe('quotas at the APIs', () => {
  const apis = openApis();
  /** Sets quotas, and waits until the gateway has received them. */
  const set = async (namespace: Partial<NamespaceQuota> | undefined, key?: Partial<KeyQuota>): Promise<void> => {
    const { world } = apis;
    const time = { updateTime: new Date(0) };
    const namespaceQuotas = namespace
      ? [{ ...NamespaceQuota.create(), namespace: 'default', ...time, ...namespace }]
      : [{ ...NamespaceQuota.create(), namespace: 'default' }];
    const keyQuotas = key ? [{ ...KeyQuota.create(), keyId: KEY.id, ...time, ...key }] : [{ ...KeyQuota.create(), keyId: KEY.id }];
    for (const watch of world.quotaWatches) watch.push({ namespaceQuotas, keyQuotas, isComplete: false });
    await new Promise((resolve) => setImmediate(resolve));
  };
  const post = (body: unknown = {}, headers: Record<string, string> = {}) => call(`${apis.url}${EVENTS}`, 'POST', body, headers);
  const batch = (count: number) =>
    call(`${apis.url}${EVENTS}:batchCreate`, 'POST', { events: Array.from({ length: count }, (_, n) => ({ payload: n })) });
  const grpc = <T>(run: (clients: { events: ReturnType<typeof events>['client'] }) => Promise<T>): Promise<T> => {
    const made = events();
    return run({ events: made.client }).finally(() => made.close());
  };
  const events = () => grpcClient(EventServiceService, `127.0.0.1:${apis.gateway.grpcPort}`, { headers: WITH_KEY });
  const named = { namespace: 'default', function: 'killer', qualifier: '' };

  before(async () => {
    await eventually(() => apis.world.quotaWatches.length > 0 && apis.world.keyWatches.length > 0);
  });
  beforeEach(async () => {
    apis.world.waiting.clear();
    apis.world.functions.set('other/killer', {
      ...(apis.world.functions.get('default/killer') as never as object),
      namespace: 'other',
    } as never);
    apis.world.keepsWaiting = false;
    await set(undefined);
  });

  it('answer too many events with 429, when to come again, and the body of an error', async () => {
    await set({ rate: { eventsPerSecond: 1, burst: 3 } });
    for (let n = 0; n < 3; n++) assert.equal((await post()).status, 202);
    const refused = await post();
    assert.equal(refused.status, 429);
    assert.match(refused.headers.get('retry-after') ?? '', /^[1-3]$/);
    const { error } = refused.json as ErrorBody;
    assert.deepEqual([error.code, error.status], [429, 'RESOURCE_EXHAUSTED']);
    assert.deepEqual(
      { ...error.details[0]?.metadata, retry_after_ms: '' },
      {
        ...{ scope: 'namespace', name: 'default', limit: '1', available: '0', retry_after_ms: '' },
      },
    );
    assert.equal(error.details[0]?.reason, 'RATE_LIMITED');
    assert.equal(apis.world.accepted.length, 3);
    assert.equal((await call(`${apis.url}/v1/namespaces/other/functions/killer/events`, 'POST', {})).status, 202);
  });

  it('count a batch in one step, and take all of it or nothing', async () => {
    await set(undefined, { rate: { eventsPerSecond: 1, burst: 1_000 } });
    assert.equal((await batch(600)).status, 202);
    const refused = await batch(600);
    assert.deepEqual([refused.status, detailOf(refused.json)?.reason], [429, 'RATE_LIMITED']);
    assert.ok(Number(refused.headers.get('retry-after')) >= 190);
    assert.equal(apis.world.accepted.length, 600);
    assert.equal((await batch(390)).status, 202);
    await set(undefined, { rate: { eventsPerSecond: 1, burst: 10 } });
    const never = await batch(11);
    assert.deepEqual([never.status, detailOf(never.json)?.reason], [429, 'BURST_EXCEEDED']);
    assert.equal(never.headers.get('retry-after'), null, 'it would be refused for ever');
  });

  it('take of lines as many as they allow, and answer each of the others', async () => {
    await set({ rate: { eventsPerSecond: 1, burst: 20 } });
    const lines = Array.from({ length: 50 }, (_, n) => `{"payload": ${n}}`);
    lines[3] = '{"payload": 3, "delay": "99h"}';
    const answer = await call(`${apis.url}${EVENTS}:batchCreate`, 'POST', lines.join('\n'), { 'content-type': 'application/x-ndjson' });
    const said = answer.text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Partial<ErrorBody> & { id?: string }]));
    assert.equal(said.length, 50);
    assert.equal(said.filter(({ id }) => id !== undefined).length, 20);
    assert.equal(said[3]?.error?.details[0]?.reason, 'INVALID_FIELD');
    assert.deepEqual([...new Set(said.slice(21).map((one) => one.error?.details[0]?.reason))], ['RATE_LIMITED']);
    assert.deepEqual(
      apis.world.accepted.map(({ accepted }) => String(accepted?.payload)),
      ['0', '1', '2', ...Array.from({ length: 17 }, (_, n) => String(n + 4))],
    );
  });

  it('count calls with the events, and the key with the namespace', async () => {
    await set({ rate: { eventsPerSecond: 0, burst: 5 } });
    const off = await call(`${apis.url}${FUNCTION}:invoke`, 'POST', {});
    assert.deepEqual([off.status, detailOf(off.json)?.reason, off.headers.get('retry-after')], [429, 'BURST_EXCEEDED', null]);
    assert.equal(apis.world.invocations.length, 0);
    await set({ rate: { eventsPerSecond: 1, burst: 9 } }, { rate: { eventsPerSecond: 1, burst: 2 } });
    assert.equal((await call(`${apis.url}${FUNCTION}:invoke`, 'POST', {})).status, 200);
    assert.equal((await post()).status, 202);
    assert.deepEqual(detailOf((await post()).json)?.metadata['scope'], 'key');
  });

  it('have a default of all keys, and the bucket of one is not that of another', async () => {
    const { world } = apis;
    for (const id of ['one', 'two'])
      for (const watch of world.keyWatches) watch.push({ keys: [keptKey({ id, role: AccessKey_Role.INVOKER })], isComplete: false });
    const keyQuotas = [{ ...KeyQuota.create(), keyId: '*', updateTime: new Date(0), rate: { eventsPerSecond: 1, burst: 2 } }];
    for (const watch of world.quotaWatches) watch.push({ namespaceQuotas: [], keyQuotas, isComplete: false });
    await eventually(async () => (await call(`${apis.url}/v1/events/x`, 'GET', undefined, bearerOf('two'))).status === 404);
    for (const id of ['one', 'two']) {
      const statuses = [];
      for (let n = 0; n < 3; n++) statuses.push((await post({}, bearerOf(id))).status);
      assert.deepEqual(statuses, [202, 202, 429]);
    }
    for (const watch of world.quotaWatches)
      watch.push({ namespaceQuotas: [], keyQuotas: [{ ...KeyQuota.create(), keyId: '*' }], isComplete: false });
  });

  it('bound what waits, as the queue counts it and what was sent since', async () => {
    await set({ queuedEvents: 100n });
    apis.world.waiting.set('default', 95);
    assert.equal((await batch(4)).status, 202);
    apis.world.waiting.set('default', 99);
    assert.equal((await post()).status, 202);
    const refused = await post();
    assert.deepEqual([refused.status, detailOf(refused.json)?.reason], [429, 'TOO_MANY_QUEUED_EVENTS']);
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.equal((await call(`${apis.url}${FUNCTION}:invoke`, 'POST', {})).status, 200, 'a call does not wait in the queue');
    apis.world.waiting.set('default', 10);
    await eventually(async () => (await batch(80)).status === 202); // it is counted anew before it is refused
  });

  it('limit the waiting events of a key at every API, and of no other key', async () => {
    await set(undefined, { queuedEvents: 20n });
    apis.world.waiting.set(`key ${KEY.id}`, 15);
    apis.world.waiting.set('default', 1_000);
    assert.equal((await batch(5)).status, 202);
    apis.world.waiting.set(`key ${KEY.id}`, 20);
    assert.equal(apis.world.accepted.at(-1)?.accepted?.accessKeyId, KEY.id, 'the queue counts by it');
    const refused = await batch(2);
    assert.equal(refused.status, 429);
    const detail = detailOf(refused.json);
    assert.deepEqual(
      [detail?.reason, detail?.metadata['scope'], detail?.metadata['name'], detail?.metadata['limit']],
      ['TOO_MANY_QUEUED_EVENTS', 'key', KEY.id, '20'],
    );
    assert.equal(refused.headers.get('retry-after'), '1');
    await grpc(({ events }) =>
      assert.rejects(events.createEvent(CreateEventRequest.create(named)), (error) => {
        assert.ok(isRefusal(error));
        return error.reason === 'TOO_MANY_QUEUED_EVENTS' && error.metadata['scope'] === 'key';
      }),
    );
    const scf = await callScf(apis.url, 'Invoke', { FunctionName: 'killer', InvocationType: 'Event' });
    assert.equal(scfCodeOf(scf.json), 'LimitExceeded.Quota');
    assert.equal((await call(`${apis.url}${FUNCTION}:invoke`, 'POST', {})).status, 200, 'a call does not wait in the queue');
    for (const watch of apis.world.keyWatches)
      watch.push({ keys: [keptKey({ id: 'three', role: AccessKey_Role.INVOKER })], isComplete: false });
    await eventually(async () => (await post({}, bearerOf('three'))).status === 202);
    assert.equal(apis.world.accepted.at(-1)?.accepted?.accessKeyId, 'three');
  });

  it('inform the registry of the key that makes functions, versions and code, at every API', async () => {
    const seen: (readonly [string, string])[] = [];
    const { functions } = apis.world.ports;
    const before = { ...functions };
    const spy = (name: 'createFunction' | 'updateFunctionCode' | 'publishFunctionVersion') =>
      Object.assign(functions, {
        [name]: async (_: unknown, options?: CallOptions) => {
          seen.push([name, keyIdOf(options?.headers?.[ACCESS_KEY_HEADER])]);
          throw refuse('QUOTA_EXCEEDED', {
            quota: 'versions',
            limit: 1,
            used: 1,
            wanted: 2,
            scope: 'key',
            name: KEY.id,
            namespace: 'default',
          });
        },
      });
    for (const name of ['createFunction', 'updateFunctionCode', 'publishFunctionVersion'] as const) spy(name);
    try {
      const rest = await call(`${apis.url}${FUNCTION}/versions`, 'POST', {});
      assert.deepEqual([rest.status, detailOf(rest.json)?.reason, rest.headers.get('retry-after')], [429, 'QUOTA_EXCEEDED', null]);
      await call(`${apis.url}/v1/namespaces/default/functions`, 'POST', { name: 'more', runtime: 'python3', handler: 'index.h' });
      const scf = await callScf(apis.url, 'PublishVersion', { FunctionName: 'killer' });
      assert.equal(scfCodeOf(scf.json), 'LimitExceeded.FunctionVersions');
      const { client, close } = grpcClient(FunctionServiceService, `127.0.0.1:${apis.gateway.grpcPort}`, { headers: WITH_KEY });
      // The metadata of a caller does not reach the registry.
      const headers = keyHeader('another-key');
      await assert.rejects(
        client.publishFunctionVersion({ namespace: 'default', name: 'killer', description: '' }, { headers }),
        (error) => {
          assert.ok(isRefusal(error));
          return error.reason === 'QUOTA_EXCEEDED' && error.status === 'RESOURCE_EXHAUSTED' && error.metadata['scope'] === 'key';
        },
      );
      await assert.rejects(client.updateFunctionCode({ namespace: 'default', name: 'killer', codeZip: Buffer.from('x') }, { headers }));
      close();
    } finally {
      Object.assign(functions, before);
    }
    assert.deepEqual(new Set(seen.map(([name]) => name)).size, 3);
    assert.deepEqual([...new Set(seen.map(([, keyId]) => keyId))], [KEY.id]);
  });

  it('do not let callers at the same time through together', async () => {
    await set({ queuedEvents: 10n });
    apis.world.waiting.set('default', 0);
    apis.world.keepsWaiting = true;
    const statuses = (await Promise.all(Array.from({ length: 60 }, () => post()))).map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 202).length, 10);
    assert.equal(apis.world.accepted.length, 10);
  });

  it('are RESOURCE_EXHAUSTED over gRPC, with details', async () => {
    await set({ rate: { eventsPerSecond: 1, burst: 2 } });
    await grpc(async ({ events }) => {
      const submissions = [1, 2, 3].map((n) => ({ payload: Buffer.from(String(n)), idempotencyKey: '', delay: undefined }));
      await assert.rejects(
        events.batchCreateEvents({ ...named, submissions }),
        (error) => isRefusal(error) && error.reason === 'BURST_EXCEEDED',
      );
      await events.batchCreateEvents({ ...named, submissions: submissions.slice(1) });
      await assert.rejects(events.createEvent(CreateEventRequest.create(named)), (error) => {
        assert.ok(isRefusal(error));
        assert.equal(error.status, 'RESOURCE_EXHAUSTED');
        assert.ok(Number(error.metadata['retry_after_ms']) > 0);
        return error.reason === 'RATE_LIMITED';
      });
    });
    const { client, close } = grpcClient(InvocationServiceService, `127.0.0.1:${apis.gateway.grpcPort}`, { headers: WITH_KEY });
    await assert.rejects(
      client.invokeFunction(InvokeFunctionRequest.create(named)),
      (error) => isRefusal(error) && error.reason === 'RATE_LIMITED',
    );
    close();
  });

  it("are answered with SCF's codes at its API", async () => {
    const invoke = (InvocationType: string) => callScf(apis.url, 'Invoke', { FunctionName: 'killer', InvocationType });
    await set({ rate: { eventsPerSecond: 1, burst: 1 } });
    assert.equal(scfCodeOf((await invoke('Event')).json), undefined);
    for (const type of ['Event', 'RequestResponse']) assert.equal(scfCodeOf((await invoke(type)).json), 'RequestLimitExceeded');
    await set({ queuedEvents: 0n });
    assert.equal(scfCodeOf((await invoke('Event')).json), 'LimitExceeded.Quota');
    await set(undefined);
    const { functions } = apis.world.ports;
    const codes: readonly (readonly [string, string])[] = [
      ['functions', 'LimitExceeded.Function'],
      ['versions', 'LimitExceeded.FunctionVersions'],
      ['bytes of code', 'LimitExceeded.Quota'],
    ];
    const { createFunction } = functions;
    for (const [quota, code] of codes) {
      Object.assign(functions, {
        createFunction: async () => {
          throw refuse('QUOTA_EXCEEDED', {
            quota,
            limit: 1,
            used: 1,
            wanted: 2,
            scope: 'namespace',
            name: 'default',
            namespace: 'default',
          });
        },
      });
      const answer = await callScf(apis.url, 'CreateFunction', {
        ...{
          FunctionName: 'more',
          Runtime: 'Python3.6',
          Handler: 'index.main_handler',
          Code: { ZipFile: 'UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==' },
        },
      });
      assert.equal(scfCodeOf(answer.json), code, answer.text);
      assert.match((answer.json as ScfAnswer).Response.Error?.Message ?? '', /its quota is 1/);
    }
    const rest = await call(`${apis.url}/v1/namespaces/default/functions`, 'POST', {
      name: 'more',
      runtime: 'python3',
      handler: 'index.h',
    });
    assert.deepEqual([rest.status, detailOf(rest.json)?.reason, rest.headers.get('retry-after')], [429, 'QUOTA_EXCEEDED', null]);
    Object.assign(functions, { createFunction });
    assert.ok(CreateFunctionRequest.create());
  });

  it('are set, read, listed and taken away by REST and gRPC, and noted in the audit log', async () => {
    const url = `${apis.url}/v1/namespaces/team/quota`;
    const put = await call(url, 'PUT', { events_per_second: 5, functions: 3, code_bytes: 10_000_000_000 });
    assert.equal(put.status, 200, put.text);
    const quota = { namespace: 'team', events_per_second: 5, burst: null, queued_events: null, functions: 3, versions: null };
    const whole = { ...quota, code_bytes: 10_000_000_000, instances: null, update_time: new Date(0).toISOString() };
    assert.deepEqual(put.json, whole);
    const usage = { functions: 1, versions: 2, code_bytes: 3 };
    assert.deepEqual((await call(url, 'GET')).json, { ...whole, is_default: false, usage });
    assert.equal((await call(`${apis.url}/v1/access-keys/ci/quota`, 'PUT', { events_per_second: 1, burst: 7 })).status, 200);
    assert.equal((await call(`${apis.url}/v1/access-keys/*/quota`, 'PUT', {})).status, 200);
    const ofKey = { queued_events: 9, functions: 3, versions: 4, code_bytes: 10_000_000_000 };
    const app = { key_id: 'app', events_per_second: null, burst: null, ...ofKey, update_time: new Date(0).toISOString() };
    assert.deepEqual((await call(`${apis.url}/v1/access-keys/app/quota`, 'PUT', ofKey)).json, app);
    assert.deepEqual((await call(`${apis.url}/v1/access-keys/app/quota`, 'GET')).json, { ...app, is_default: false, usage });
    const instances = await call(`${apis.url}/v1/access-keys/app/quota`, 'PUT', { instances: 1 });
    assert.deepEqual([instances.status, detailOf(instances.json)?.metadata['field']], [400, 'instances'], instances.text);
    const listed = (await call(`${apis.url}/v1/key-quotas`, 'GET')).json as { key_quotas: { key_id: string; burst: number | null }[] };
    assert.deepEqual(
      listed.key_quotas.map(({ key_id: id, burst }) => [id, burst]),
      [
        ['ci', 7],
        ['*', null],
        ['app', null],
      ],
    );
    for (const wrong of [
      { functions: -1 },
      { functions: 1.5 },
      { burst: 3 },
      { events_per_second: 1, burst: 0 },
      { what: 1 },
      { instances: '3' },
    ])
      assert.equal((await call(url, 'PUT', wrong)).status, 400, JSON.stringify(wrong));
    const { client, close } = grpcClient(QuotaServiceService, `127.0.0.1:${apis.gateway.grpcPort}`, { headers: WITH_KEY });
    assert.equal((await client.getNamespaceQuota({ namespace: 'team' })).namespaceQuota?.functions, 3);
    await client.deleteKeyQuota({ keyId: 'ci' });
    close();
    assert.equal((await call(url, 'DELETE')).status, 204);
    assert.deepEqual(((await call(`${apis.url}/v1/namespace-quotas`, 'GET')).json as { namespace_quotas: [] }).namespace_quotas, []);
    const noted = apis.world.audit.map(({ operation, namespace, subject, action }) => [operation, namespace || subject, action]);
    for (const [operation, subject] of [
      ['putNamespaceQuota', 'team'],
      ['deleteNamespaceQuota', 'team'],
      ['putKeyQuota', 'ci'],
      ['evenfall.v1.QuotaService/DeleteKeyQuota', 'ci'],
    ])
      assert.ok(
        noted.some((one) => one[0] === operation && one[1] === subject && one[2] === 'quotas.manage'),
        operation,
      );
  });

  it('stay when their watch breaks, until the next one is complete', async () => {
    await set({ rate: { eventsPerSecond: 0, burst: undefined } });
    const { world } = apis;
    const before = world.quotaWatches.length;
    world.namespaceQuotas.set('default', {
      ...NamespaceQuota.create(),
      namespace: 'default',
      updateTime: new Date(0),
      rate: { eventsPerSecond: 0, burst: undefined },
    });
    for (const watch of world.quotaWatches) watch.end();
    assert.equal((await post()).status, 429);
    await eventually(() => world.quotaWatches.length > before);
    assert.equal((await post()).status, 429);
    world.namespaceQuotas.clear();
    for (const watch of world.quotaWatches) watch.end();
    await eventually(async () => (await post()).status === 202);
  });
});
