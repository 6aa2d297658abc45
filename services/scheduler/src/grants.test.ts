import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, it } from 'node:test';
import { inspect } from 'node:util';
import type { AttemptKey, AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { EventInvokeConfig } from '@evenfall/contracts/v1/function';
import fc from 'fast-check';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { type createGrants, GRANT_BYTES, grantedAttempt } from '@evenfall/grants';
import { started } from './testing/reports.ts';
import { assignmentOf, fnOf, grantsOf, LEASE_MS, type PlayedAgent, type Rig, startRig } from './testing/rig.ts';

const KEYS = [randomBytes(32), randomBytes(32)] as const;
const NOTHING = Buffer.alloc(0);
const partition = 0;

/** Reports that an agent may send about an attempt. */
const REPORTS: readonly ((key: AttemptKey, agentId: string) => AttemptReport)[] = [
  (key, agentId) => ({ ...key, report: { $case: 'started', value: started('i-9', agentId) } }),
  (key) => ({ ...key, report: { $case: 'ended', value: endedAs('returned', 0) } }),
  (key) => ({ ...key, report: { $case: 'signalSent', value: { policy: undefined, step: undefined, cause: 1 } } }),
  (key) => ({ ...key, report: { $case: 'revoked', value: {} } }),
  (key) => ({ ...key, report: { $case: 'throttled', value: { statusCode: 0, retryAfter: undefined } } }),
];
const ended = REPORTS[1] as (typeof REPORTS)[number]; // it is there
const reportAll = (agent: PlayedAgent, key: AttemptKey): void =>
  agent.sends({ reports: REPORTS.map((reportOf) => reportOf(key, agent.agent.id)) });
const grantOf = (agent: PlayedAgent, eventId: string): Buffer => {
  const assignedTo = agent.all('assignments').findLast(({ assignment }) => assignment?.eventId === eventId)?.assignment?.grant;
  assert.ok(assignedTo, `${eventId} was given to ${agent.agent.id}`);
  return assignedTo;
};
const removeReports = (rig: Rig): unknown[] =>
  rig.reports.splice(0).map(({ eventId, agentId, report }) => [eventId, agentId, report?.$case]);

/** Where an attempt may be that is not the forger's, made so in a new rig; answers whose it is then. */
const PLACES: Readonly<Record<string, (rig: Rig) => Promise<PlayedAgent | undefined>>> = {
  'is not known': () => Promise.resolve(undefined),
  'waits for an instance': async (rig) => {
    await rig.dispatch({ assignments: [assignmentOf('e')] });
    return undefined;
  },
  'may be with an agent that has not come back': async (rig) => {
    await rig.dispatch({ assignments: [assignmentOf('e', { mayBeDispatched: true })] });
    return undefined;
  },
  'is on another host': async (rig) => {
    const agent = rig.attach({ agentId: 'honest' });
    await rig.dispatch({ assignments: [assignmentOf('e')] });
    return agent;
  },
  'runs on another host, says the log': async (rig) => {
    await rig.dispatch({ assignments: [assignmentOf('e', { runningOnAgentId: 'honest' })] });
    return rig.attach({ agentId: 'honest', held: [{ eventId: 'e', attempt: 1, partition }] });
  },
  'another host has since before the scheduler started': async (rig) => {
    await rig.dispatch({ claims: [{ partition, epoch: 1n }] });
    return rig.attach({ agentId: 'honest', held: [{ eventId: 'e', attempt: 1, partition }] });
  },
};

/** What a forger has for a grant of attempt 1 of event "e". */
const PROOFS: Readonly<Record<string, (signer: ReturnType<typeof createGrants>) => Buffer | undefined>> = {
  'an empty one': () => NOTHING,
  chance: () => randomBytes(GRANT_BYTES),
  'one that is too long': () => randomBytes(64),
  'that of another event': (signer) => signer.sign(grantedAttempt({ eventId: 'mine', attempt: 1, partition }), 'forger', 0).bytes,
  'that of another attempt': (signer) => signer.sign(grantedAttempt({ eventId: 'e', attempt: 2, partition }), 'forger', 0).bytes,
  'that of another partition': (signer) => signer.sign(grantedAttempt({ eventId: 'e', attempt: 1, partition: 1 }), 'forger', 0).bytes,
  'that of a call': (signer) => signer.sign(grantedAttempt({ eventId: 'e', attempt: 1, partition: undefined }), 'forger', 0).bytes,
  'that of another agent': (signer) => signer.sign(grantedAttempt({ eventId: 'e', attempt: 1, partition }), 'honest', 0).bytes,
  'one of its own making': () => grantsOf(randomBytes(32)).sign(grantedAttempt({ eventId: 'e', attempt: 1, partition }), 'forger', 0).bytes,
};

describe('an agent that speaks of attempts that it was not given', () => {
  for (const [place, make] of Object.entries(PLACES))
    for (const [what, proofOf] of Object.entries(PROOFS))
      it(`is refused for one that ${place}, with ${what}`, async () => {
        const rig = startRig({ grants: grantsOf(KEYS[0]) });
        const holder = await make(rig);
        const before = holder && removeReports(rig);
        assert.ok(before === undefined || before.length === 0);
        const key = { eventId: 'e', attempt: 1, partition, grant: proofOf(rig.ports.grants) };
        // Little memory: what waits is not given to it.
        const hello = { agentId: 'forger', sessionId: 'ff', capacityMb: 0, held: [key] };
        const forger = rig.attach({ ...hello, instances: [{ instanceId: 'i-9', function: fnOf(), attempt: key, busy: false }] });
        reportAll(forger, key);
        rig.maintain();
        assert.deepEqual(removeReports(rig), []);
        assert.ok(rig.ports.counters.agent_claims_refused_total > 0);
        assert.equal(rig.ports.cluster.attempts.get('e')?.ended, undefined);
        assert.deepEqual(forger.all('assignments'), []);
        if (!holder) return;
        assert.deepEqual(holder.all('stops'), [], 'its holder is left alone');
        holder.sends({ reports: [ended({ eventId: 'e', attempt: 1, partition }, 'honest')] });
        assert.deepEqual(removeReports(rig), [['e', 'honest', 'ended']]);
      });

  it('is refused in the name of another, though the attempt is its own', async () => {
    const rig = startRig();
    const agent = rig.attach({ agentId: 'a' });
    await rig.dispatch({ assignments: [assignmentOf('e')] });
    const [first, second] = REPORTS.map((reportOf) => reportOf({ eventId: 'e', attempt: 1, partition }, 'honest'));
    assert.ok(first?.report?.$case === 'started' && second?.report?.$case === 'ended');
    const end = { ...second.report.value, started: first.report.value };
    agent.sends({ reports: [first, { ...second, report: { $case: 'ended', value: end } }] });
    const names = rig.reports.map(({ agentId, grant, report }) => [
      agentId,
      grant,
      report?.$case === 'started' ? report.value.agentId : report?.$case === 'ended' ? report.value.started?.agentId : '',
    ]);
    assert.deepEqual(names, [['a', undefined, 'a'], ['a', undefined, 'a']]); // prettier-ignore
  });

  it('has what it keeps of unknown attempts acknowledged, and stopped, once no queue can know of them', () => {
    const rig = startRig();
    const key = { eventId: 'e', attempt: 1, partition, grant: NOTHING };
    const early = rig.attach({ agentId: 'a', held: [key] }, { reports: [ended(key, 'a')] });
    assert.deepEqual([early.all('acks'), early.all('stops')], [[], []]);
    early.leaves();
    rig.clock.advance(LEASE_MS);
    const late = rig.attach({ agentId: 'a', held: [key] }, { reports: [ended(key, 'a')] });
    assert.deepEqual([late.all('acks').length, late.all('stops').length], [1, 1]);
    assert.equal(rig.ports.cluster.attempts.size, 0);
  });
});

describe('an agent that is asked for an instance', () => {
  it('gets the environment of its function, and nothing of its destinations', async () => {
    const rig = startRig();
    const webhook = { $case: 'webhook' as const, value: { url: 'https://a.example/', secret: 'a secret', secretSet: false } };
    const eventInvoke = EventInvokeConfig.fromPartial({ onFailure: { target: webhook } });
    rig.registry.set('ff', fnOf({ environment: { TOKEN: 'x' }, eventInvoke }));
    const agent = rig.attach();
    const other = rig.attach({ agentId: 'other', sessionId: 's2', capacityMb: 0 });
    await rig.dispatch({ assignments: [assignmentOf('e')] });
    const [asked] = agent.all('startInstances');
    assert.deepEqual([asked?.function?.environment, asked?.function?.eventInvoke], [{ TOKEN: 'x' }, undefined]);
    for (const batch of [...other.got, ...agent.got]) assert.ok(!inspect(batch, { depth: 12 }).includes('a secret'));
    for (const batch of other.got) assert.ok(!inspect(batch, { depth: 12 }).includes('TOKEN'));
  });
});

describe('an agent that brings instances along', () => {
  it('is accepted for instances that were requested, as they were requested', async () => {
    const first = startRig();
    const agent = first.attach();
    await first.dispatch({ assignments: [assignmentOf('e')] });
    const [asked] = agent.all('startInstances');
    assert.ok(asked?.function && asked.grant);
    const { instanceId, function: fn, grant } = asked;
    const good = { instanceId, function: fn, grant, attempt: undefined, busy: false };
    const bad = [
      { ...good, grant: NOTHING },
      { ...good, grant: randomBytes(GRANT_BYTES) },
      { ...good, instanceId: 'other' },
      { ...good, function: fnOf({ name: 'fg' }) },
      { ...good, function: fnOf({ namespace: 'other' }) },
      { ...good, function: fnOf({ memoryMb: 100_000 }) },
      { ...good, function: fnOf({ revision: 2 }) },
    ];
    for (const [n, one] of [...bad, good].entries()) {
      const rig = startRig();
      const back = rig.attach({ instances: [one] });
      const isGood = n === bad.length;
      assert.equal(back.agent.instances.size, isGood ? 1 : 0);
      assert.equal(back.agent.usedMb, isGood ? 128 : 0);
      assert.equal(back.all('stopInstances').length, isGood ? 0 : 1);
      await rig.dispatch({ assignments: [assignmentOf('next')] });
      assert.equal(back.all('startInstances').length, isGood ? 0 : 1, 'nothing is given to an instance that is none');
    }
    const thief = startRig().attach({ agentId: 'thief', instances: [good] });
    assert.equal(thief.agent.instances.size, 0);
  });
});

describe('an agent that a scheduler gave an attempt, at the next one', () => {
  const give = async (): Promise<{ readonly grant: Buffer; readonly key: AttemptKey }> => {
    const rig = startRig({ grants: grantsOf(KEYS[0]) });
    const agent = rig.attach({ agentId: 'a' });
    await rig.dispatch({ assignments: [assignmentOf('e')] });
    return { grant: grantOf(agent, 'e'), key: { eventId: 'e', attempt: 1, partition } };
  };

  it('is accepted, also when the keys have been rotated', async () => {
    const { grant, key } = await give();
    for (const keys of [[KEYS[0]], [KEYS[1], KEYS[0]]]) {
      const rig = startRig({ grants: grantsOf(...keys) });
      const agent = rig.attach({ agentId: 'a', held: [{ ...key, grant }] }, { reports: [{ ...ended(key, 'a'), grant }] });
      await rig.dispatch({ assignments: [assignmentOf('e', { mayBeDispatched: true })] });
      assert.deepEqual(removeReports(rig), [['e', 'a', 'ended']]);
      assert.deepEqual(agent.all('assignments'), []);
      assert.equal(rig.ports.counters.agent_claims_refused_total, 0);
    }
  });

  it('gets a new grant where the keys are lost and the log says that it has the attempt', async () => {
    const { grant, key } = await give();
    const rig = startRig({ grants: grantsOf(KEYS[1]) });
    const agent = rig.attach({ agentId: 'a', held: [{ ...key, grant }] }, { reports: [{ ...ended(key, 'a'), grant }] });
    assert.deepEqual([removeReports(rig), agent.all('stops'), agent.all('acks')], [[], [], []]);
    await rig.dispatch({ assignments: [assignmentOf('e', { runningOnAgentId: 'a' })] });
    agent.sends({ reports: [{ ...ended(key, 'a'), grant: grantOf(agent, 'e') }] });
    assert.deepEqual(removeReports(rig), [['e', 'a', 'ended']]);
  });

  it('yields to the one that was given it later, whichever comes first', async () => {
    const first = startRig({ grants: grantsOf(KEYS[0]) });
    const throttling = first.attach({ agentId: 'a' });
    await first.dispatch({ assignments: [assignmentOf('e')] });
    const key = { eventId: 'e', attempt: 1, partition };
    const other = first.attach({ agentId: 'b', sessionId: 's2' });
    throttling.agent.drain = { deadlineTimeMs: undefined }; // nothing new goes to it
    throttling.sends({ reports: [{ ...key, report: { $case: 'throttled', value: { statusCode: 0, retryAfter: undefined } } }] });
    first.maintain();
    const grants = { a: grantOf(throttling, 'e'), b: grantOf(other, 'e') };
    for (const order of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const rig = startRig({ grants: grantsOf(KEYS[0]) });
      const agents = order.map((id) => rig.attach({ agentId: id, held: [{ ...key, grant: grants[id] }] }));
      const [a, b] = order[0] === 'a' ? agents : agents.toReversed();
      assert.deepEqual([a?.all('stops').length, b?.all('stops').length], [1, 0]);
      await rig.dispatch({ assignments: [assignmentOf('e', { mayBeDispatched: true })] });
      a?.sends({ reports: [{ ...ended(key, 'a'), grant: grants.a }] });
      assert.deepEqual(removeReports(rig), []);
      b?.sends({ reports: [{ ...ended(key, 'b'), grant: grants.b }] });
      assert.deepEqual(removeReports(rig), [['e', 'b', 'ended']]);
    }
  });

  it('yields to the one that the log names', async () => {
    const { grant, key } = await give();
    const rig = startRig({ grants: grantsOf(KEYS[0]) });
    const claims = rig.attach({ agentId: 'a', held: [{ ...key, grant }] }, { reports: [{ ...ended(key, 'a'), grant }] });
    const runs = rig.attach({ agentId: 'b', sessionId: 's2' });
    await rig.dispatch({ assignments: [assignmentOf('e', { runningOnAgentId: 'b' })] });
    assert.deepEqual(claims.all('acks'), [{ eventId: 'e', attempt: 1 }]);
    runs.sends({ reports: [{ ...ended(key, 'b'), grant: grantOf(runs, 'e') }] });
    assert.deepEqual(removeReports(rig), [['e', 'b', 'ended']]);
  });
});

describe('grants', () => {
  it('are good for what they were made of alone, and for no other bytes', () => {
    const grants = grantsOf(...KEYS);
    const name = fc.string({ minLength: 1, maxLength: 20 }).map((text) => text.replaceAll('\0', '-'));
    const granted = fc.record({ eventId: name, attempt: fc.integer({ min: 1 }), partition: fc.option(fc.nat(), { nil: undefined }), agentId: name }); // prettier-ignore
    fc.assert(
      fc.property(granted, granted, fc.nat({ max: GRANT_BYTES - 1 }), fc.integer({ min: 1, max: 255 }), (mine, other, at, flip) => {
        const { bytes, issuedMs } = grants.sign(grantedAttempt(mine), mine.agentId, 1_790_000_000_000);
        assert.equal(grants.check(grantedAttempt(mine), mine.agentId, bytes), issuedMs);
        const isSame = JSON.stringify(mine) === JSON.stringify(other);
        assert.equal(grants.check(grantedAttempt(other), other.agentId, bytes), isSame ? issuedMs : undefined);
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        assert.equal(grants.check(grantedAttempt(mine), mine.agentId, changed), undefined);
      }),
      { numRuns: 500 },
    );
  });
});
