import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HealthService } from '@evenfall/contracts/grpc/health/v1/health';
import { ServerReflectionService } from '@evenfall/contracts/grpc/reflection/v1/reflection';
import { Event } from '@evenfall/contracts/v1/event';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { grpcClient } from '@evenfall/rpc';
import { startGateway } from '../service.ts';
import { fakeWorld } from '../testing/fakes.ts';
import { silentLog } from '@evenfall/telemetry';
import { call, openApis, SETTINGS } from '../testing/harness.ts';

const ID = '01990000-0000-7000-8000-000000000003';
const KEY = { id: 'ops', secret: 'correct-horse' };

const KEYS = { accessKeys: [{ id: 'other', secret: 'battery-staple' }, KEY] };
const PATHS = ['/v1/agents', '/nowhere', '/openapi.json', '/docs/json', '/docs/yaml', '/docs/nothing', `/v1/events/${ID}:watch`];

// Each with a gateway of its own: after some wrong keys the answers are delayed.
for (const authorization of [undefined, 'Basic b3Bz', 'Bearer ops', 'Bearer ops:wrong-horse!', 'Bearer other:correct-horse', 'Bearer '])
  describe(`APIs with access keys, called with "${authorization ?? 'nothing'}"`, () => {
    const apis = openApis(KEYS);

    it('turn the caller away', async () => {
      for (const path of PATHS) {
        const answer = await call(`${apis.url}${path}`, 'GET', undefined, { authorization: authorization ?? '' });
        assert.equal(answer.status, 401, path);
        assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/);
        assert.ok(answer.text.includes('"UNAUTHENTICATED"'));
      }
      const { client, close } = grpcClient(EventServiceService, `127.0.0.1:${apis.gateway.grpcPort}`);
      const headers = authorization === undefined ? {} : { authorization };
      await assert.rejects(client.getEvent({ id: ID }, { headers }), { reason: 'UNAUTHENTICATED' });
      close();
    });
  });

describe('APIs with access keys', () => {
  const apis = openApis(KEYS);

  it('lets a key in and names it in the receipt', async () => {
    apis.world.events.set(ID, Event.create({ id: ID }));
    const headers = { authorization: `Bearer ${KEY.id}:${KEY.secret}` };
    assert.equal((await call(`${apis.url}/v1/events/${ID}:terminate`, 'POST', {}, headers)).status, 200);
    assert.equal(apis.world.terminations.at(-1)?.requester, 'ops');
    const { client, close } = grpcClient(EventServiceService, `127.0.0.1:${apis.gateway.grpcPort}`);
    const { event } = await client.getEvent({ id: ID }, { headers });
    assert.equal(event?.id, ID);
    close();
  });

  it('asks for one before it shows its protos, and not before it says how it is', async () => {
    const address = `127.0.0.1:${apis.gateway.grpcPort}`;
    const reflection = grpcClient(ServerReflectionService, address);
    const health = grpcClient(HealthService, address);
    async function* asked() {
      yield { host: '', messageRequest: { $case: 'listServices' as const, value: '' } };
    }
    const listed = async (headers: Record<string, string>): Promise<number> => {
      let count = 0;
      for await (const { messageResponse } of reflection.client.serverReflectionInfo(asked(), { headers }))
        if (messageResponse?.$case === 'listServicesResponse') count += messageResponse.value.service.length;
      return count;
    };
    await assert.rejects(listed({}), { reason: 'UNAUTHENTICATED' });
    assert.equal(await listed({ authorization: `Bearer ${KEY.id}:${KEY.secret}` }), 9);
    for (const service of ['', 'evenfall.v1.EventService']) assert.equal((await health.client.check({ service })).status, 1);
    reflection.close();
    health.close();
  });

  it('answers probes and the pages that a browser opens first without one', async () => {
    for (const path of ['/healthz', '/readyz', '/docs', '/docs/', '/docs/static/swagger-ui.css', '/docs/static/theme/key.js'])
      assert.equal((await call(`${apis.url}${path}`, 'GET', undefined, { authorization: '' })).status, 200, path);
  });
});

describe('APIs without access keys', () => {
  const OPEN = { ...SETTINGS, accessKeys: [], isOpen: true };

  it('do not open, unless that was asked for', async () => {
    await assert.rejects(startGateway(fakeWorld().ports, { ...OPEN, isOpen: false }), /EVENFALL_ACCESS_KEYS is not set/);
    await assert.rejects(startGateway(fakeWorld().ports, { ...SETTINGS, isOpen: true }), /both set/);
  });

  it('do not open to a network', async () => {
    for (const host of ['0.0.0.0', '::', '192.0.2.1'])
      await assert.rejects(startGateway(fakeWorld().ports, { ...OPEN, host }), /EVENFALL_HOST=".*" with EVENFALL_OPEN="yes"/);
  });

  it('say that they are open', async () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    const gateway = await startGateway({ ...fakeWorld().ports, log }, OPEN);
    try {
      assert.match(warnings.join('\n'), /the APIs are open/);
      const { json } = await call(`http://127.0.0.1:${gateway.httpPort}/readyz`, 'GET', undefined, { authorization: '' });
      assert.match(JSON.stringify((json as { notes?: unknown }).notes), /the APIs are open/);
      assert.equal((await call(`http://127.0.0.1:${gateway.httpPort}/v1/agents`, 'GET', undefined, { authorization: '' })).status, 200);
    } finally {
      await gateway.stop();
    }
  });
});
