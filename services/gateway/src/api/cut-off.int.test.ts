// A gateway that the registry cannot reach does not learn of keys that are revoked: it trusts those it knows for a while, and then no longer.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AccessKey_Role } from '@evenfall/contracts/v1/access_key_service';
import { EventServiceService, type StreamCreateEventsRequest } from '@evenfall/contracts/v1/event_service';
import { isRefusal } from '@evenfall/errors';
import { grpcClient } from '@evenfall/rpc';
import { eventually } from '@evenfall/testkit';
import { callScf, KEY, openApis } from '../testing/harness.ts';
import { bearerOf, keptKey } from '../testing/keys.ts';

const MAX_AGE_MS = 1_500;

describe('Keys of the registry, at a gateway that is cut off from it', () => {
  const apis = openApis({ accessKeysMaxAgeMs: MAX_AGE_MS });
  const key = keptKey({ id: 'kept', role: AccessKey_Role.ADMIN, scf: true });
  const own = { authorization: `Bearer ${KEY.id}:${KEY.secret}` };
  const ends: (() => void)[] = [];
  after(() => ends.forEach((end) => end()));
  const ask = (headers: Record<string, string>) => fetch(`${apis.url}/v1/agents`, { headers });
  const readiness = async () => {
    const response = await fetch(`${apis.url}/readyz`);
    return { status: response.status, text: await response.text() };
  };
  before(async () => {
    await eventually(() => apis.world.keyWatches.length > 0);
    apis.world.keys.set('kept', key);
    for (const watch of apis.world.keyWatches) watch.push({ keys: [key], isComplete: false });
    await eventually(async () => (await ask(bearerOf('kept'))).status === 200);
  });

  it('are valid for a while, then refused as retryable by every API, and their streams end; those of the settings work', async () => {
    const { client, close } = grpcClient(EventServiceService, `127.0.0.1:${apis.gateway.grpcPort}`, { headers: bearerOf('kept') });
    ends.push(close);
    const whyNot = async (): Promise<string> => {
      try {
        await client.countEvents({ namespace: 'default', function: 'killer' });
        return '';
      } catch (error) {
        return isRefusal(error) ? error.reason : String(error);
      }
    };
    const gate = Promise.withResolvers<undefined>();
    const submissions = [{ payload: Buffer.from('1'), idempotencyKey: '', delay: undefined }];
    async function* batches(): AsyncGenerator<StreamCreateEventsRequest> {
      yield { batch: { namespace: 'default', function: 'killer', qualifier: '', submissions } };
      await gate.promise;
      yield { batch: { namespace: 'default', function: 'killer', qualifier: '', submissions } };
    }
    const refusedStream = assert.rejects(client.streamCreateEvents(batches()), (error) => isRefusal(error));
    await eventually(() => apis.world.accepted.length === 1);
    apis.world.isKeyWatchAway = true;
    const began = performance.now();
    for (const watch of apis.world.keyWatches.splice(0)) watch.fail(new Error('gone'));
    assert.equal(await whyNot(), '');
    assert.equal((await ask(bearerOf('kept'))).status, 200, 'a restart of the registry does not hurt');
    const refused = await eventually(async () => {
      const answer = await ask(bearerOf('kept'));
      return answer.status === 503 && answer;
    }, 10_000);
    assert.ok(performance.now() - began >= MAX_AGE_MS);
    assert.match(await refused.text(), /SERVICE_UNAVAILABLE/);
    assert.ok(refused.headers.get('retry-after'));
    assert.equal(await whyNot(), 'SERVICE_UNAVAILABLE');
    assert.equal((await ask(bearerOf('unknown'))).status, 503);
    gate.resolve(undefined);
    await refusedStream;
    assert.equal(apis.world.accepted.length, 1);
    const { status, text } = await readiness();
    assert.equal(status, 503);
    assert.match(text, /EVENFALL_ACCESS_KEYS_MAX_AGE/);
    assert.equal((await ask(own)).status, 200);
    assert.notEqual((await callScf(apis.url, 'ListFunctions', {})).status, 503);
  });

  it('are good again with the next watch, but those that were revoked meanwhile', async () => {
    apis.world.keys.set('kept', { ...keptKey({ id: 'kept', revokeTime: new Date() }), secretSha256: Buffer.alloc(0) });
    apis.world.keys.set('other', keptKey({ id: 'other', role: AccessKey_Role.ADMIN }));
    apis.world.isKeyWatchAway = false;
    await eventually(async () => (await ask(bearerOf('other'))).status === 200, 15_000);
    assert.equal((await ask(bearerOf('kept'))).status, 401);
    assert.doesNotMatch((await readiness()).text, /EVENFALL_ACCESS_KEYS_MAX_AGE/);
  });
});
