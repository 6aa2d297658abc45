import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { blockOf } from './domain/account.ts';
import { poolOf } from './domain/cluster.ts';
import { getProvisioned } from './flows/get-provisioned.ts';
import { invoke } from './flows/invoke.ts';
import { useConcurrency } from './flows/use-concurrency.ts';
import { assignmentOf, fnOf, IDLE_MS, LEASE_MS, type PlayedAgent, type Rig, startRig } from './testing/rig.ts';

type Settings = {
  readonly hostMb?: number;
  readonly totalMb?: number;
  readonly reserved?: Record<string, number>;
  readonly provisioned?: number;
};

/** Gives the scheduler the settings of the registry, after the recovery window of a new scheduler. */
function setConcurrency(rig: Rig, { totalMb = 128_000, reserved = {}, provisioned = 0 }: Settings): void {
  rig.clock.advance(2_000);
  useConcurrency(rig.ports, {
    totalMb,
    reservations: Object.entries(reserved).map(([name, memoryMb]) => ({ namespace: 'default', name, memoryMb })),
    instanceQuotas: [],
    provisions: provisioned > 0 ? [{ function: fnOf({ version: '1' }), instances: provisioned }] : [],
  });
}
const started = (agent: PlayedAgent): string[] => agent.all('startInstances').map(({ instanceId }) => instanceId);
const stopped = (agent: PlayedAgent): string[] => agent.all('stopInstances').map(({ instanceId }) => instanceId);
const statusOf = (rig: Rig) => getProvisioned(rig.ports, { namespace: 'default', name: 'ff', versions: ['1'] }).versions[0];
const failed = (agent: PlayedAgent, instanceId: string): void =>
  agent.sends({ instanceChanges: [{ instanceId, change: { $case: 'gone', value: { startFailed: true, reason: 'no such handler' } } }] });
const ends = (agent: PlayedAgent, eventId: string): void =>
  agent.sends({ reports: [{ eventId, attempt: 1, report: { $case: 'ended', value: endedAs('returned', 0) } }] });
const many = (count: number, more: object = {}) => Array.from({ length: count }, (_, i) => assignmentOf(`e${i}`, more));

describe('who may start an instance of 128 MB', () => {
  const cases: readonly (readonly [string, Settings, Record<string, number>, string | undefined])[] = [
    ['any function while there is room', {}, {}, undefined],
    ['no function beyond the total', { totalMb: 256 }, { fg: 2 }, 'TOTAL'],
    ['no function that is off', { reserved: { ff: 0 } }, {}, 'OFF'],
    ['one with a share within it', { reserved: { ff: 256 } }, { ff: 1 }, undefined],
    ['not beyond its share', { reserved: { ff: 256 } }, { ff: 2 }, 'RESERVED'],
    ['one with a share, however much others have', { totalMb: 512, reserved: { ff: 128 } }, { fg: 4 }, undefined],
    ['not in what others have reserved', { totalMb: 512, reserved: { fg: 256 } }, { fh: 2 }, 'TOTAL'],
    ['beside what others have reserved', { totalMb: 512, reserved: { fg: 256 } }, { fh: 1, fg: 2 }, undefined],
    ['not on hosts that hold no more than what others have reserved', { reserved: { fg: 512 } }, { fh: 4 }, 'HELD'],
    ['on them, once that is used', { reserved: { fg: 512 } }, { fg: 4, fh: 3 }, undefined],
    ['in the tenth that cannot be reserved', { hostMb: 2_048, totalMb: 1_280, reserved: { fg: 1_280 } }, { fg: 7 }, undefined],
  ];
  for (const [name, settings, there, block] of cases)
    it(name, () => {
      const rig = startRig();
      const agent = rig.attach();
      setConcurrency(rig, settings);
      const sends = Object.entries(there).flatMap(([fn, count]) =>
        Array.from({ length: count }, (_, i) => ({
          instanceId: `${fn}${i}`,
          function: fnOf({ name: fn }),
          attempt: undefined,
          busy: false,
        })),
      );
      rig.attach({ instances: sends, capacityMb: settings.hostMb ?? 1_024 });
      assert.equal(agent.agent.instances.size, sends.length);
      const pool = poolOf(rig.ports.cluster, 'default', 'ff', '$LATEST');
      assert.equal(blockOf(rig.ports.cluster.account, rig.ports.cluster.agents.values(), pool, 128), block);
    });

  it('no function before the registry has reported reservations', async () => {
    const rig = startRig();
    rig.ports.cluster.account.totalMb = undefined;
    const agent = rig.attach();
    await rig.dispatch({ assignments: many(1) });
    assert.deepEqual(started(agent), []);
    setConcurrency(rig, {});
    assert.deepEqual(started(agent), ['i-1']);
  });
});

describe('provisioned instances', () => {
  it('start without an event, spread over the hosts, and say so', () => {
    const rig = startRig();
    const small = rig.attach({ agentId: 'small', capacityMb: 512 });
    const large = rig.attach({ agentId: 'large', capacityMb: 4_096 });
    setConcurrency(rig, { provisioned: 4 });
    assert.deepEqual([started(small).length, started(large).length], [2, 2]);
    assert.ok(large.all('startInstances').every(({ ahead }) => ahead));
    assert.deepEqual([statusOf(rig)?.startingInstances, statusOf(rig)?.availableInstances, statusOf(rig)?.state], [4, 0, 2]);
    for (const id of started(small)) small.ready(id);
    for (const id of started(large)) large.ready(id);
    assert.deepEqual([statusOf(rig)?.availableInstances, statusOf(rig)?.state, statusOf(rig)?.reason], [4, 1, '']);
    rig.maintain();
    assert.equal(rig.ports.cluster.account.short.size, 0, 'nothing is looked at while nothing is missing');
  });

  it('wait a moment after the start of a scheduler: hosts may come back with them', () => {
    const rig = startRig();
    const agent = rig.attach();
    useConcurrency(rig.ports, {
      totalMb: 128_000,
      reservations: [],
      instanceQuotas: [],
      provisions: [{ function: fnOf({ version: '1' }), instances: 1 }],
    });
    assert.deepEqual(started(agent), []);
    rig.attach({ instances: [{ instanceId: 'was-there', function: fnOf({ version: '1' }), attempt: undefined, busy: false }] });
    rig.clock.advance(2_000);
    rig.maintain();
    assert.deepEqual(started(agent), []);
    assert.equal(statusOf(rig)?.availableInstances, 1);
  });

  it('take events first, and more instances come for more events', async () => {
    const rig = startRig();
    const agent = rig.attach();
    setConcurrency(rig, { provisioned: 2 });
    for (const id of ['i-1', 'i-2']) agent.ready(id);
    await rig.dispatch({ assignments: many(3, { version: '1' }) });
    const assignedTo = agent.all('assignments').map(({ instanceId, assignment }) => `${assignment?.eventId}@${instanceId}`);
    assert.deepEqual(assignedTo, ['e0@i-2', 'e1@i-1', 'e2@i-3']);
    assert.equal(agent.all('startInstances')[2]?.ahead, false);
  });

  it('are not reclaimed for being idle, what is more than them is', async () => {
    const rig = startRig();
    const agent = rig.attach();
    setConcurrency(rig, { provisioned: 2 });
    for (const id of ['i-1', 'i-2']) agent.ready(id);
    await rig.dispatch({ assignments: many(3, { version: '1' }) });
    agent.ready('i-3');
    for (const id of ['e0', 'e1', 'e2']) ends(agent, id);
    rig.clock.advance(IDLE_MS + 1);
    agent.sends({});
    rig.maintain();
    rig.maintain();
    assert.equal(stopped(agent).length, 1);
    setConcurrency(rig, {});
    rig.maintain();
    assert.equal(stopped(agent).length, 3, 'provisioned no more');
  });

  it('are replaced when they die, on another host when theirs is lost or drains', () => {
    const rig = startRig();
    const first = rig.attach({ agentId: 'first' });
    const second = rig.attach({ agentId: 'second' });
    setConcurrency(rig, { provisioned: 2 });
    for (const id of started(first)) first.ready(id);
    for (const id of started(second)) second.ready(id);
    assert.deepEqual([started(first).length, started(second).length], [1, 1]);
    first.gone(started(first)[0] ?? '');
    rig.maintain();
    assert.deepEqual([started(first).length, started(second).length], [2, 1]);
    first.ready(started(first)[1] ?? '');

    first.sends({ drain: { deadline: undefined } });
    rig.maintain();
    assert.deepEqual([started(first).length, started(second).length], [2, 2]);

    const third = rig.attach({ agentId: 'third' });
    second.leaves();
    rig.clock.advance(LEASE_MS - 1);
    third.sends({});
    rig.maintain();
    assert.deepEqual(started(third), [], 'it may come back within its lease');
    rig.clock.advance(1);
    rig.maintain();
    assert.equal(started(third).length, 2);
  });

  it('say why they are missing: no host, no room, a crash loop', () => {
    const rig = startRig();
    setConcurrency(rig, { provisioned: 9 });
    assert.deepEqual([statusOf(rig)?.state, statusOf(rig)?.reason], [3, 'No worker host is attached that takes instances.']);
    const agent = rig.attach({ parallelStarts: 100 });
    rig.maintain();
    assert.equal(started(agent).length, 8);
    rig.maintain();
    assert.equal(statusOf(rig)?.reason, 'No worker host has the 128 MB free that an instance takes.');
    for (const id of started(agent)) failed(agent, id);
    rig.maintain();
    const reason = statusOf(rig)?.reason ?? '';
    assert.match(reason, /end one after the other without an answer; another is started in \d+ s\. no such handler$/);
    assert.equal(started(agent).length, 8, 'not before the pause is over');
    rig.clock.advance(30_000);
    agent.sends({});
    rig.maintain();
    assert.equal(started(agent).length, 9, 'one at a time');
  });

  it('that end idle one after the other are a crash loop too', () => {
    const rig = startRig();
    const agent = rig.attach();
    setConcurrency(rig, { provisioned: 1 });
    for (let i = 1; i <= 3; i++) {
      agent.ready(`i-${i}`);
      agent.gone(`i-${i}`);
      rig.maintain();
    }
    assert.equal(started(agent).length, 3);
    assert.ok(poolOf(rig.ports.cluster, 'default', 'ff', '1').startsAfterMs > rig.clock.monotonic());
  });

  it('replace idle instances of others, and are not replaced', async () => {
    const rig = startRig();
    rig.registry.set('fg', fnOf({ name: 'fg', memoryMb: 512 }));
    const agent = rig.attach({ capacityMb: 512 });
    await rig.dispatch({ assignments: [assignmentOf('big', { function: 'fg' })] });
    agent.ready('i-1');
    ends(agent, 'big');
    rig.clock.advance(1_000);
    setConcurrency(rig, { provisioned: 4 });
    assert.deepEqual(stopped(agent), ['i-1']);
    agent.gone('i-1');
    rig.maintain();
    for (const id of started(agent).slice(1)) agent.ready(id);
    assert.equal(started(agent).length, 5);
    await rig.dispatch({ assignments: [assignmentOf('wants', { function: 'fg' })] });
    rig.clock.advance(5_000);
    agent.sends({});
    rig.maintain();
    assert.deepEqual(stopped(agent), ['i-1']);
  });
});

describe('reserved concurrency', () => {
  it('is a cap over all versions, an instance that is being stopped counted until it is gone', async () => {
    const rig = startRig();
    const agent = rig.attach();
    setConcurrency(rig, { reserved: { ff: 256 } });
    await rig.dispatch({ assignments: many(5) });
    assert.deepEqual(started(agent), ['i-1', 'i-2']);
    for (const id of started(agent)) agent.ready(id);
    for (const id of ['e0', 'e1', 'e2', 'e3', 'e4']) ends(agent, id);
    rig.registry.set('ff', fnOf({ version: '7' }));
    await rig.dispatch({ assignments: [assignmentOf('other', { version: '7' })] });
    rig.maintain();
    assert.equal(stopped(agent).length, 1, 'what idles of one version makes way for another');
    rig.maintain();
    assert.deepEqual([started(agent).length, stopped(agent).length], [2, 1]);
    agent.gone(stopped(agent)[0] ?? '');
    assert.equal(started(agent).length, 3);
  });

  it('that is lowered has what is over it stop when it is idle, and not take another event', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 512 });
    await rig.dispatch({ assignments: many(4) });
    for (const id of started(agent)) agent.ready(id);
    await rig.dispatch({ assignments: [assignmentOf('waits')] });
    setConcurrency(rig, { reserved: { ff: 256 } });
    const before = agent.all('assignments').length;
    ends(agent, 'e0');
    ends(agent, 'e1');
    assert.deepEqual([stopped(agent).length, agent.all('assignments').length], [2, before]);
    ends(agent, 'e2');
    assert.deepEqual([stopped(agent).length, agent.all('assignments').length], [2, before + 1]);
  });

  it('of 0 turns a function off: what is warm goes, calls are refused at once, most of what waits goes back in order', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: many(1) });
    agent.ready('i-1');
    ends(agent, 'e0');
    await rig.dispatch({ acks: [{ eventId: 'e0', attempt: 1 }] });
    setConcurrency(rig, { reserved: { ff: 0 } });
    rig.maintain();
    assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.IDLE }]);
    agent.gone('i-1');
    const call = invoke(
      rig.ports,
      { assignment: assignmentOf('call'), queueTimeout: undefined, cancelOnDisconnect: false },
      new AbortController().signal,
    );
    await assert.rejects(call, (error) => isRefusal(error) && error.reason === 'RESERVED_EXHAUSTED');

    rig.reports.splice(0);
    await rig.dispatch({ assignments: Array.from({ length: 20 }, (_, i) => assignmentOf(`w${i}`)) });
    rig.maintain();
    assert.equal(rig.reports.length, 0, 'not at once');
    rig.clock.advance(1_000);
    agent.sends({});
    rig.maintain();
    const back = rig.reports.map(({ eventId, report }) => `${eventId} ${report?.$case}`);
    assert.deepEqual(back, ['w19 throttled', 'w18 throttled', 'w17 throttled', 'w16 throttled']);
    assert.equal(rig.ports.counters.attempts_throttled_total, 4);
    setConcurrency(rig, {});
    assert.deepEqual(agent.all('assignments').at(-1)?.assignment?.eventId, 'w0', 'those that were kept begin');
  });

  it('gives nothing back of a function that moves, nor of one that only finds no host', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 128 });
    setConcurrency(rig, {});
    await rig.dispatch({ assignments: many(30) });
    rig.clock.advance(5_000);
    agent.sends({});
    rig.maintain();
    setConcurrency(rig, { reserved: { ff: 128 } });
    agent.ready('i-1');
    ends(agent, 'e0');
    rig.maintain();
    assert.deepEqual(
      rig.reports.filter(({ report }) => report?.$case === 'throttled'),
      [],
    );
  });

  it('keeps room on the hosts that a flood of others cannot have', async () => {
    const rig = startRig();
    rig.registry.set('fg', fnOf({ name: 'fg' }));
    const agent = rig.attach({ parallelStarts: 100 });
    setConcurrency(rig, { reserved: { ff: 256 } });
    await rig.dispatch({ assignments: many(20, { function: 'fg' }) });
    assert.equal(started(agent).length, 6, 'of the eight that fit');
    await rig.dispatch({ assignments: ['a', 'b', 'c'].map((id) => assignmentOf(id)) });
    assert.equal(started(agent).length, 8);
    setConcurrency(rig, {});
    rig.maintain();
    assert.equal(rig.ports.cluster.account.reserved.size, 0);
  });
});
