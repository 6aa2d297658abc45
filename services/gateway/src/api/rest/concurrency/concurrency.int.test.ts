import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { call, openDoors } from '../../../testing/harness.ts';

const KILLER = '/v1/namespaces/default/functions/killer';
const RESERVED = `${KILLER}/reserved-concurrency`;
const PROVISIONED = `${KILLER}/provisioned-concurrency`;

describe('concurrency at the REST door', () => {
  const doors = openDoors();
  const ask = async (method: string, path: string, body?: unknown): Promise<readonly [number, unknown]> => {
    const { status, json } = await call(`${doors.url}${path}`, method, body);
    return [status, json];
  };

  it('reserves, tells and releases', async () => {
    const told = (memory_mb: number | null) => ({ memory_mb, total_mb: 128_000, available_mb: 115_200 });
    assert.deepEqual(await ask('GET', RESERVED), [200, told(null)]);
    assert.deepEqual(await ask('PUT', RESERVED, { memory_mb: 0 }), [200, told(0)], '0 is not the same as none');
    assert.equal(doors.world.reservedMb, 0);
    assert.deepEqual(await ask('DELETE', RESERVED), [204, undefined]);
    assert.equal(doors.world.reservedMb, undefined);
  });

  it('tells what is wanted, as the registry has it, and what there is, as the scheduler has it', async () => {
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
    ['a field nobody knows', 'PUT', RESERVED, { memory_mb: 128, instances: 1 }],
    ['no version', 'PUT', PROVISIONED, { instances: 1 }],
    ['no instances', 'PUT', `${PROVISIONED}?qualifier=1`, { instances: 0 }],
    ['too many', 'PUT', `${PROVISIONED}?qualifier=1`, { instances: 10_001 }],
    ['no version to let go', 'DELETE', PROVISIONED, undefined],
    ['a version that can be none', 'PUT', `${PROVISIONED}?qualifier=a/b`, { instances: 1 }],
  ];
  for (const [name, method, path, body] of refused)
    it(`refuses ${name}`, async () => assert.equal((await ask(method, path, body))[0], 400));
});
