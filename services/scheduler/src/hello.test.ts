import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AttachRequest, type AttachResponse, Hello, SchedulerServiceService } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { isRefusal } from '@evenfall/errors';
import { LIMITS } from '@evenfall/event-model';
import { inProcessClient, pushable } from '@evenfall/rpc';
import { createApi } from './api.ts';
import { HELLO_LIMITS } from './domain/check-hello.ts';
import { assignmentOf, fnOf, startRig } from './testing/rig.ts';

const GOOD = Hello.create({ agentId: 'a', sessionId: 's1', capacityMb: 1_024, parallelStarts: 8, recalls: true });
const EVENT = '01990000-0000-7000-8000-000000000004';
const instance = { instanceId: 'i-1', function: fnOf(), attempt: undefined, busy: false };
const key = { eventId: EVENT, attempt: 1, partition: 0 };
const ability = { name: 'sandbox', available: true, detail: '' };
const many = <T>(count: number, make: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => make(n));

/** What an agent must not say, and the field that is named. */
const BAD: readonly (readonly [string, Partial<Hello>, string])[] = [
  ['no id', { agentId: '' }, 'agent_id'],
  ['an id of 129', { agentId: 'a'.repeat(129) }, 'agent_id'],
  ['an id that is a path', { agentId: '../a' }, 'agent_id'],
  ['an id of two lines', { agentId: 'a\nb' }, 'agent_id'],
  ['no session', { sessionId: '' }, 'session_id'],
  ['a session of a megabyte', { sessionId: 's'.repeat(1_000_000) }, 'session_id'],
  ['less than no memory', { capacityMb: -1 }, 'capacity_mb'],
  ['more memory than there is', { capacityMb: HELLO_LIMITS.capacityMb + 1 }, 'capacity_mb'],
  ['no start at a time', { parallelStarts: 0 }, 'parallel_starts'],
  ['a million starts', { parallelStarts: 1_000_000 }, 'parallel_starts'],
  ['too many instances', { instances: many(HELLO_LIMITS.instances + 1, (n) => ({ ...instance, instanceId: `i${n}` })) }, 'instances'],
  ['one instance twice', { instances: [instance, instance] }, 'instances'],
  ['an instance without an id', { instances: [{ ...instance, instanceId: '' }] }, 'instances[0].instance_id'],
  ['a function that is a path', { instances: [{ ...instance, function: fnOf({ name: 'a/b' }) }] }, 'instances[0].function.name'],
  ['a long namespace', { instances: [{ ...instance, function: fnOf({ namespace: 'n'.repeat(61) }) }] }, 'instances[0].function.namespace'],
  ['no version', { instances: [{ ...instance, function: fnOf({ version: 'x y' }) }] }, 'instances[0].function.version'],
  ['less than no memory of one', { instances: [{ ...instance, function: fnOf({ memoryMb: -128 }) }] }, 'instances[0].function.memory_mb'],
  ['a revision below 0', { instances: [{ ...instance, function: fnOf({ revision: -1 }) }] }, 'instances[0].function.revision'],
  ['attempt 0', { instances: [{ ...instance, attempt: { ...key, attempt: 0 } }] }, 'instances[0].attempt'],
  ['too many attempts', { held: many(HELLO_LIMITS.held + 1, (n) => ({ ...key, eventId: `e${n}` })) }, 'held'],
  ['one attempt twice', { held: [key, key] }, 'held'],
  ['an event of a kilobyte', { held: [{ ...key, eventId: 'e'.repeat(1_000) }] }, 'held[0]'],
  ['a partition below 0', { held: [{ ...key, partition: -1 }] }, 'held[0]'],
  ['too many abilities', { abilities: many(HELLO_LIMITS.abilities + 1, (n) => ({ ...ability, name: `a${n}` })) }, 'abilities'],
  ['an ability that is a sentence', { abilities: [{ ...ability, name: 'It can!' }] }, 'abilities[0].name'],
];

describe('the hello of an agent', () => {
  for (const [what, more, field] of BAD)
    it(`is refused with a reason, and leaves nothing, for ${what}`, async () => {
      const { ports } = startRig();
      const scheduler = inProcessClient(SchedulerServiceService, createApi(ports));
      const requests = pushable<AttachRequest>();
      requests.push({ ...AttachRequest.create(), hello: { ...GOOD, ...more } });
      const error: unknown = await scheduler
        .attach(requests)
        [Symbol.asyncIterator]()
        .next()
        .catch((failure: unknown) => failure);
      assert.ok(isRefusal(error), String(error));
      assert.deepEqual([error.reason, error.metadata['field'], error.retry], ['INVALID_FIELD', `hello.${field}`, false]);
      assert.deepEqual([ports.cluster.agents.size, ports.cluster.attempts.size, ports.cluster.pools.size], [0, 0, 0]);
    });

  it('may be as large as its limits, with words cut', () => {
    const rig = startRig();
    const { agent } = rig.attach({
      agentId: 'a'.repeat(128),
      capacityMb: HELLO_LIMITS.capacityMb,
      parallelStarts: HELLO_LIMITS.parallelStarts,
      instances: many(HELLO_LIMITS.instances, (n) => ({ ...instance, instanceId: `i${n}` })),
      held: many(1_000, (n) => ({ ...key, eventId: `e${n}` })),
      abilities: many(HELLO_LIMITS.abilities, (n) => ({ ...ability, name: `a${n}`, detail: '漢'.repeat(10_000) })),
    });
    assert.equal(agent.instances.size, HELLO_LIMITS.instances);
    assert.ok(agent.abilities.every(({ detail }) => Buffer.byteLength(detail) <= LIMITS.reasonBytes));
  });
});

describe('what an agent says later', () => {
  it('is bounded, and stops no other agent', async () => {
    const rig = startRig();
    const agent = rig.attach();
    const other = rig.attach({ agentId: 'b', sessionId: 's2' });
    await rig.dispatch({ assignments: [assignmentOf(EVENT)] });
    const bad = { eventId: 'x'.repeat(1_000), attempt: 1, partition: 0, report: { $case: 'throttled', value: { statusCode: 0, retryAfter: undefined } } } as const; // prettier-ignore
    for (const cpuBusy of [NaN, -1, Infinity, 7]) agent.sends({ cpuBusy });
    agent.sends({
      heartbeat: { sentTime: new Date(NaN) },
      drain: { deadline: { seconds: -5n, nanos: 0 } },
      reports: [bad, { ...bad, eventId: EVENT, attempt: 0 }, { ...bad, eventId: EVENT, attempt: -1 }],
      instanceChanges: [{ instanceId: 'unknown', change: { $case: 'gone', value: { startFailed: true, reason: 'r'.repeat(1_000_000) } } }],
    });
    assert.equal(agent.agent.cpuBusy, 1);
    for (const temporaryMb of [-1, 7]) agent.sends({ temporaryMb });
    assert.equal(agent.agent.temporaryMb, 7);
    agent.sends({ temporaryMb: 2 ** 31 - 1 });
    assert.equal(agent.agent.temporaryMb, HELLO_LIMITS.capacityMb);
    agent.sends({ temporaryMb: 0 });
    assert.equal(agent.agent.drain?.deadlineTimeMs, undefined);
    assert.ok(!agent.got.some(({ heartbeat }) => heartbeat));
    assert.equal(rig.ports.cluster.attempts.size, 1);
    assert.doesNotThrow(() => agent.got.map((batch: AttachResponse) => JSON.stringify(batch, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)))); // prettier-ignore
    const [start] = [...agent.all('startInstances'), ...other.all('startInstances')];
    const player = agent.all('startInstances').length > 0 ? agent : other;
    player.sends({
      instanceChanges: [
        { instanceId: start?.instanceId ?? '', change: { $case: 'gone', value: { startFailed: true, reason: 'r'.repeat(1_000_000) } } },
      ],
    });
    for (const { lastFailure } of rig.ports.cluster.pools.values()) assert.ok(Buffer.byteLength(lastFailure) <= LIMITS.reasonBytes);
  });
});

describe('what an agent offers', () => {
  it('counts up to what the operator says of the largest host', async () => {
    const rig = startRig({ agentLimits: { capacityMb: 1_024, instances: 3, parallelStarts: 2 } });
    const liar = rig.attach({ agentId: 'liar', capacityMb: HELLO_LIMITS.capacityMb, parallelStarts: HELLO_LIMITS.parallelStarts });
    assert.deepEqual([liar.agent.capacityMb, liar.agent.parallelStarts], [1_024, 2]);
    const starts = (): string[] => liar.all('startInstances').map(({ instanceId }) => instanceId);
    await rig.dispatch({ assignments: many(8, (n) => assignmentOf(`e${n}`)) });
    assert.equal(starts().length, 2, 'at the same time');
    for (const id of starts()) liar.ready(id);
    rig.maintain();
    assert.equal(starts().length, 3, 'in all, though there is memory for more');
  });

  it('is little work to look at, however much of it is wrong', () => {
    const rig = startRig();
    let checks = 0;
    const { check } = rig.ports.grants;
    Object.assign(rig.ports.grants, { check: (...args: Parameters<typeof check>) => (checks++, check(...args)) });
    const held = many(20_000, (n) => ({ ...key, eventId: `e${n}`, grant: Buffer.alloc(26) }));
    rig.attach({ held });
    assert.ok(checks <= 1_000, `${checks} were looked at`);
    assert.equal(rig.ports.counters.agent_claims_refused_total, held.length);
    assert.equal(rig.ports.cluster.attempts.size, 0);
  });
});
