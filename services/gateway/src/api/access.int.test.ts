import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { HealthService } from '@evenfall/contracts/grpc/health/v1/health';
import { ServerReflectionService } from '@evenfall/contracts/grpc/reflection/v1/reflection';
import { Event } from '@evenfall/contracts/v1/event';
import { EventServiceService } from '@evenfall/contracts/v1/event_service';
import { grpcClient } from '@evenfall/rpc';
import { startGateway } from '../service.ts';
import { fakeWorld } from '../testing/fakes.ts';
import { call, openDoors } from '../testing/harness.ts';

const ID = '01990000-0000-7000-8000-000000000003';
const KEY = { id: 'ops', secret: 'correct-horse' };

describe('doors with access keys', () => {
  const doors = openDoors({ accessKeys: [{ id: 'other', secret: 'battery-staple' }, KEY] });

  const WRONG = [undefined, 'Basic b3Bz', 'Bearer ops', 'Bearer ops:wrong-horse!', 'Bearer other:correct-horse', 'Bearer '];
  for (const authorization of WRONG) {
    it(`turns "${authorization ?? 'nothing'}" away`, async () => {
      for (const path of ['/v1/agents', '/nowhere', '/openapi.json', '/docs', `/v1/events/${ID}:watch`]) {
        const answer = await call(`${doors.url}${path}`, 'GET', undefined, authorization === undefined ? {} : { authorization });
        assert.equal(answer.status, 401, path);
        assert.match(answer.headers.get('www-authenticate') ?? '', /^Bearer/);
        assert.ok(answer.text.includes('"UNAUTHENTICATED"'));
      }
      const { client, close } = grpcClient(EventServiceService, `127.0.0.1:${doors.gateway.grpcPort}`);
      const headers = authorization === undefined ? {} : { authorization };
      await assert.rejects(client.getEvent({ id: ID }, { headers }), { reason: 'UNAUTHENTICATED' });
      close();
    });
  }

  it('lets a key in and names it in the receipt', async () => {
    doors.world.events.set(ID, Event.create({ id: ID }));
    const headers = { authorization: `Bearer ${KEY.id}:${KEY.secret}` };
    assert.equal((await call(`${doors.url}/v1/events/${ID}:terminate`, 'POST', {}, headers)).status, 200);
    assert.equal(doors.world.terminations.at(-1)?.requester, 'ops');
    const { client, close } = grpcClient(EventServiceService, `127.0.0.1:${doors.gateway.grpcPort}`);
    const { event } = await client.getEvent({ id: ID }, { headers });
    assert.equal(event?.id, ID);
    close();
  });

  it('asks for one before it shows its protos, and not before it says how it is', async () => {
    const address = `127.0.0.1:${doors.gateway.grpcPort}`;
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
    assert.equal(await listed({ authorization: `Bearer ${KEY.id}:${KEY.secret}` }), 6);
    for (const service of ['', 'evenfall.v1.EventService']) assert.equal((await health.client.check({ service })).status, 1);
    reflection.close();
    health.close();
  });

  it('answers probes without one', async () => {
    assert.equal((await call(`${doors.url}/healthz`, 'GET')).status, 200);
    assert.equal((await call(`${doors.url}/readyz`, 'GET')).status, 200);
  });
});

describe('doors without access keys', () => {
  it('do not open to a network', async () => {
    const settings = {
      host: '0.0.0.0',
      httpPort: 0,
      grpcPort: 0,
      allowedHosts: [],
      accessKeys: [],
      maxPayloadBytes: 1024,
      scfTimeZone: 'UTC',
    };
    await assert.rejects(startGateway(fakeWorld().ports, settings), /EVENFALL_HOST="0\.0\.0\.0".*EVENFALL_ACCESS_KEYS/s);
  });
});
