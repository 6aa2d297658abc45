import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call, openApis } from '../../../testing/harness.ts';

const KILLER = '/v1/namespaces/default/functions/killer';
const RESERVED = `${KILLER}/reserved-concurrency`;
const PROVISIONED = `${KILLER}/provisioned-concurrency`;

describe('concurrency of the REST API', () => {
  const apis = openApis();
  const ask = async (method: string, path: string, body?: unknown): Promise<readonly [number, unknown]> => {
    const { status, json } = await call(`${apis.url}${path}`, method, body);
    return [status, json];
  };

  it('reserves, shows and releases', async () => {
    const shown = (memory_mb: number | null) => ({ memory_mb, total_mb: 128_000, available_mb: 115_200 });
    assert.deepEqual(await ask('GET', RESERVED), [200, shown(null)]);
    assert.deepEqual(await ask('PUT', RESERVED, { memory_mb: 0 }), [200, shown(0)], '0 is not the same as none');
    assert.equal(apis.world.reservedMb, 0);
    assert.deepEqual(await ask('DELETE', RESERVED), [204, undefined]);
    assert.equal(apis.world.reservedMb, undefined);
  });

  it('shows the requested number of the registry and the actual number of the scheduler', async () => {
    const [status, answer] = await ask('GET', `${PROVISIONED}?qualifier=1`);
    const one = { version: '1', instances: 2, available_instances: 1, starting_instances: 1 };
    const there = { ...one, state: 'IN_PROGRESS', reason: '1 are being started.' };
    assert.deepEqual([status, answer], [200, { versions: [there], unallocated_mb: 1_000 }]);
    const put = await ask('PUT', `${PROVISIONED}?qualifier=1`, { instances: 5 });
    const late = { ...one, instances: 5, state: 'IN_PROGRESS', reason: 'The scheduler has not received the change yet.' };
    assert.deepEqual(put, [200, late]);
    assert.deepEqual(await ask('DELETE', `${PROVISIONED}?qualifier=1`), [204, undefined]);
  });

  const refused: readonly (readonly [string, string, string, unknown])[] = [
    ['no number', 'PUT', RESERVED, {}],
    ['a fraction', 'PUT', RESERVED, { memory_mb: 1.5 }],
    ['a number below 0', 'PUT', RESERVED, { memory_mb: -1 }],
    ['a number as text', 'PUT', RESERVED, { memory_mb: '128' }],
    ['more than a number holds', 'PUT', RESERVED, { memory_mb: 2 ** 31 }],
    ['an unknown field', 'PUT', RESERVED, { memory_mb: 128, instances: 1 }],
    ['no version', 'PUT', PROVISIONED, { instances: 1 }],
    ['no instances', 'PUT', `${PROVISIONED}?qualifier=1`, { instances: 0 }],
    ['too many', 'PUT', `${PROVISIONED}?qualifier=1`, { instances: 10_001 }],
    ['no version to let go', 'DELETE', PROVISIONED, undefined],
    ['a version that can be none', 'PUT', `${PROVISIONED}?qualifier=a/b`, { instances: 1 }],
  ];
  for (const [name, method, path, body] of refused)
    it(`refuses ${name}`, async () => assert.equal((await ask(method, path, body))[0], 400));
});
