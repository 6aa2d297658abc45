import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvokeRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal } from '@evenfall/errors';
import fc from 'fast-check';
import { invoke } from './flows/invoke.ts';
import { useConcurrency } from './flows/use-concurrency.ts';
import { endedReport } from './testing/reports.ts';
import { assignmentOf, fnOf, type PlayedAgent, type Rig, startRig } from './testing/rig.ts';

/** Gives the scheduler quotas, as the registry does. */
function setConcurrency(rig: Rig, quotas: Readonly<Record<string, number | undefined>>, provisioned = 0): void {
  rig.clock.advance(2_000);
  useConcurrency(rig.ports, {
    totalMb: 128_000,
    reservations: [],
    provisions: provisioned > 0 ? [{ function: fnOf({ version: '1' }), instances: provisioned }] : [],
    instanceQuotas: Object.entries(quotas).map(([namespace, instances]) => ({ namespace, instances })),
  });
}
const started = (agent: PlayedAgent): string[] => agent.all('startInstances').map(({ instanceId }) => instanceId);
const stopped = (agent: PlayedAgent): string[] => agent.all('stopInstances').map(({ instanceId }) => instanceId);
const countOf = (rig: Rig, namespace: string): number => rig.ports.cluster.account.spaces.get(namespace)?.instanceCount ?? 0;
const dispatch = (rig: Rig, ids: readonly string[], more: Parameters<typeof assignmentOf>[1] = {}) =>
  rig.dispatch({ assignments: ids.map((id) => assignmentOf(id, { partition: 0, ...more })) });
const ids = (prefix: string, count: number): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

describe('A quota of instances', () => {
  it('bounds those of all functions of a namespace together, and of no other', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 100_000, parallelStarts: 100 });
    setConcurrency(rig, { default: 3 });
    await dispatch(rig, ids('e', 5));
    await dispatch(rig, ids('g', 5), { function: 'fg' });
    assert.equal(started(agent).length, 3);
    await dispatch(rig, ids('o', 4), { namespace: 'other' });
    assert.equal(started(agent).length, 7);
    setConcurrency(rig, { default: 4 });
    assert.equal(started(agent).length, 8, 'a larger quota is used at once');
  });

  it('has a default, which namespaces with one of their own do not have', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 100_000, parallelStarts: 100 });
    setConcurrency(rig, { '*': 1, free: undefined });
    await dispatch(rig, ids('e', 3));
    await dispatch(rig, ids('f', 3), { namespace: 'free' });
    assert.equal(started(agent).length, 4);
  });

  it('has what is idle make way for another function of the namespace', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 100_000, parallelStarts: 100 });
    setConcurrency(rig, { default: 1 });
    await dispatch(rig, ['e1']);
    const [first = ''] = started(agent);
    agent.ready(first);
    agent.sends({ reports: [endedReport('e1')] });
    await dispatch(rig, ['g1'], { function: 'fg' });
    rig.clock.advance(1_500); // it may have had something to do again
    rig.maintain();
    assert.deepEqual(stopped(agent), [first]);
    assert.equal(started(agent).length, 1, 'it is still there');
    agent.gone(first);
    rig.maintain();
    assert.equal(started(agent).length, 2);
  });

  it('that is lowered ends what is idle, and lets what runs go on', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 100_000, parallelStarts: 100 });
    setConcurrency(rig, {});
    await dispatch(rig, ids('e', 3));
    const all = started(agent);
    for (const id of all) agent.ready(id);
    for (const eventId of ['e0', 'e1']) agent.sends({ reports: [endedReport(eventId)] });
    setConcurrency(rig, { default: 0 });
    rig.maintain();
    assert.equal(stopped(agent).length, 2);
    for (const id of stopped(agent)) agent.gone(id);
    assert.equal(countOf(rig, 'default'), 1);
  });

  it('gives back what waits, so that others are sent: as much of many functions as of one', async () => {
    const rig = startRig();
    rig.attach({ capacityMb: 100_000, parallelStarts: 100 });
    setConcurrency(rig, { default: 1 });
    for (let n = 0; n < 40; n++) rig.registry.set(`f${n}`, fnOf({ name: `f${n}` }));
    for (let n = 0; n < 40; n++) await dispatch(rig, ids(`e${n}.`, 5), { function: `f${n}` });
    rig.clock.advance(1_100);
    rig.maintain();
    let waiting = 0;
    for (const pool of rig.ports.cluster.pools.values()) waiting += pool.waiting.size;
    assert.ok(waiting <= 16, `${waiting}`);
    assert.ok(rig.reports.filter(({ report }) => report?.$case === 'throttled').length >= 180);
  });

  it('answers a call that waited in vain with what keeps it, and one where it is 0 at once', async () => {
    const rig = startRig();
    rig.attach();
    setConcurrency(rig, { default: 0 });
    const request = InvokeRequest.create({ assignment: { ...assignmentOf('call'), synchronous: true } });
    await assert.rejects(invoke(rig.ports, request, new AbortController().signal), (error) => {
      assert.ok(isRefusal(error));
      assert.deepEqual(error.metadata, { namespace: 'default', function: 'ff', limit: '0' });
      return error.reason === 'INSTANCE_QUOTA_EXHAUSTED';
    });
  });

  it('is never exceeded, whatever comes, goes, and is set', async () => {
    type Step = {
      readonly kind: 'send' | 'end' | 'tend' | 'ready' | 'gone';
      readonly fn: 'ff' | 'fg';
      readonly namespace: 'default' | 'other';
    };
    const step = fc.record<Step>({
      kind: fc.constantFrom('send', 'send', 'ready', 'end', 'gone', 'tend'),
      fn: fc.constantFrom('ff', 'fg'),
      namespace: fc.constantFrom('default', 'other'),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 0, max: 4 }), fc.nat(3), async (steps, most, provisioned) => {
        const rig = startRig();
        const agent = rig.attach({ capacityMb: 100_000, parallelStarts: 100 });
        setConcurrency(rig, { default: most, other: 2 }, provisioned);
        let events = 0;
        for (const { kind, fn, namespace } of steps) {
          const ofAll = [...agent.agent.instances.values()];
          if (kind === 'send') await dispatch(rig, [`e${events++}`], { function: fn, namespace });
          if (kind === 'ready') for (const one of ofAll) if (one.state === 'STARTING') agent.ready(one.id);
          const busy = ofAll.find(({ state }) => state === 'BUSY');
          if (kind === 'end' && busy?.attempt) {
            const { eventId } = busy.attempt.assignment;
            agent.sends({ reports: [endedReport(eventId)] });
          }
          if (kind === 'gone') for (const one of ofAll) if (one.state === 'STOPPING') agent.gone(one.id);
          rig.clock.advance(kind === 'tend' ? 2_000 : 10);
          rig.maintain();
          const counts = { default: 0, other: 0 };
          for (const one of agent.agent.instances.values()) counts[one.pool.key.startsWith('default/') ? 'default' : 'other']++;
          assert.deepEqual([countOf(rig, 'default'), countOf(rig, 'other')], [counts.default, counts.other]);
          assert.ok(counts.default <= most && counts.other <= 2, JSON.stringify(counts));
        }
      }),
      { numRuns: 60 },
    );
  });
});
