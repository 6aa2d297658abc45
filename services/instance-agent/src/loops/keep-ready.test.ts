import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FunctionMessage } from '@evenfall/contracts/v1/function';
import { yieldToLoop } from '@evenfall/time';
import type { Agent } from '../flows/agent.ts';
import type { InstanceNetwork, ProcessEvents, ProcessSpec, ReadyProcess } from '../ports.ts';
import { keepReady } from './keep-ready.ts';

type Fate = 'never up' | 'no process' | 'throws';

/** A pool whose processes behave as the test requests, and a clock. */
function world(fate: Fate) {
  let nowMs = 0;
  const seen = { started: 0, ended: 0, networks: 0, faults: 0 };
  const network = (): InstanceNetwork => {
    seen.networks++;
    const close = (): void => {
      seen.networks--;
    };
    return { close } as unknown as InstanceNetwork; // of which a pool uses no more
  };
  const startReady = (kind: ReadyProcess['kind'], given: InstanceNetwork): ReadyProcess | undefined => {
    seen.started++;
    if (fate === 'throws') throw new Error('no room');
    if (fate === 'no process') {
      given.close();
      return undefined;
    }
    const end = (): Promise<void> => {
      seen.ended++;
      given.close();
      return Promise.resolve();
    };
    return { id: String(seen.started), kind, isUp: () => false, become: () => Promise.resolve(undefined), end };
  };
  const agent = { networks: { open: async () => network() }, driver: { startReady }, instances: new Map() } as unknown as Agent; // nor of these
  const onFault = (): void => {
    seen.faults++;
  };
  const pool = keepReady({ perKind: 1, capacityMb: 1_000, now: () => nowMs, onFault });
  return {
    pool,
    seen,
    async want() {
      const fn = { ...FunctionMessage.create(), runtime: 'nodejs', memoryMb: 128 };
      assert.equal(await pool.claim({ fn } as ProcessSpec, {} as ProcessEvents), undefined); // a claim that finds nothing looks at no more of them
    },
    async roundAt(ms: number) {
      nowMs = ms;
      pool.round(agent, 0);
      await yieldToLoop();
    },
  };
}

it('ends one that never waits for an instance, and makes room for the next after a while', async () => {
  const { pool, seen, want, roundAt } = world('never up');
  await want();
  await roundAt(1_000);
  await roundAt(20_000);
  assert.deepEqual(seen, { started: 1, ended: 0, networks: 1, faults: 0 });
  await roundAt(21_000);
  await roundAt(25_000);
  assert.deepEqual(seen, { started: 1, ended: 1, networks: 0, faults: 0 });
  await roundAt(26_000);
  assert.deepEqual(seen, { started: 2, ended: 1, networks: 1, faults: 0 });
  await pool.close();
  assert.deepEqual(seen, { started: 2, ended: 2, networks: 0, faults: 0 });
});

for (const fate of ['no process', 'throws'] as const)
  it(`tries again after a while, and keeps no network, when a start gives ${fate === 'throws' ? 'an error' : fate}`, async () => {
    const { seen, want, roundAt } = world(fate);
    await want();
    for (const ms of [1_000, 1_250, 5_750]) await roundAt(ms);
    assert.deepEqual(seen, { started: 1, ended: 0, networks: 0, faults: fate === 'throws' ? 1 : 0 });
    await roundAt(6_250);
    assert.equal(seen.started, 2);
  });
