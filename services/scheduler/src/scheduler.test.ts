import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { endedReport, assignedTo, startedReport } from './testing/reports.ts';
import { assignmentOf, fnOf, IDLE_MS, LEASE_MS, type PlayedAgent, type Rig, startRig } from './testing/rig.ts';

/** Reports to the queue, in short. */
const agentSets = (rig: Rig): string[] =>
  rig.reports.map(({ eventId, attempt, report }) => {
    const outcome = report?.$case === 'ended' ? ` ${Object.entries(Outcome).find(([, value]) => value === report.value.outcome)?.[0]}` : '';
    return `${eventId}/${attempt} ${report?.$case}${outcome}`;
  });
const forceStop = (eventId: string) => ({ eventId, attempt: 1, cause: Cause.USER, mode: Mode.FORCE, policy: undefined });

/** An agent with one warm instance, i-1. */
async function warm(rig: Rig, agent: PlayedAgent): Promise<void> {
  await rig.dispatch({ assignments: [assignmentOf('first')] });
  agent.ready('i-1');
  agent.sends({ reports: [startedReport('first', 'i-1'), endedReport('first')] });
  await rig.dispatch({ acks: [{ eventId: 'first', attempt: 1 }] });
  rig.reports.length = 0;
}

describe('placing attempts', () => {
  it('starts an instance for the first, and gives the next to it when it is idle', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await warm(rig, agent);
    assert.deepEqual(assignedTo(agent), ['first@i-1']);
    await rig.dispatch({ assignments: [assignmentOf('second')] });
    assert.deepEqual(assignedTo(agent), ['first@i-1', 'second@i-1']);
    assert.equal(agent.all('startInstances').length, 1);
    assert.deepEqual(agent.all('acks'), [{ eventId: 'first', attempt: 1 }]);
  });

  it('takes the instance that was used last', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('a'), assignmentOf('b')] });
    for (const id of ['i-1', 'i-2']) agent.ready(id);
    agent.sends({ reports: [endedReport('b')] });
    agent.sends({ reports: [endedReport('a')] });
    await rig.dispatch({ assignments: [assignmentOf('c')] });
    assert.deepEqual(assignedTo(agent).at(-1), 'c@i-1', 'a ended last, on i-1');
  });

  it('goes where there is most room, and waits where there is none', async () => {
    const rig = startRig();
    const small = rig.attach({ agentId: 'small', capacityMb: 128 });
    const large = rig.attach({ agentId: 'large', capacityMb: 384 });
    await rig.dispatch({ assignments: ['a', 'b', 'c', 'd', 'e'].map((id) => assignmentOf(id)) });
    assert.deepEqual([small.all('startInstances').length, large.all('startInstances').length], [1, 3]);
    assert.equal([...rig.ports.cluster.pools.values()][0]?.waiting.size, 1);
    const [freed] = large.all('assignments');
    large.ready(freed?.instanceId ?? '');
    large.sends({ reports: [endedReport(freed?.assignment?.eventId ?? '')] });
    assert.equal(assignedTo(large).length, 4, 'the one that waited goes to the instance that became free');
  });

  it('counts what temporary files hold of a host’s memory, and goes on when they are gone', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 384 });
    agent.sends({ temporaryMb: 300 });
    await rig.dispatch({ assignments: ['a', 'b', 'c', 'd'].map((id) => assignmentOf(id)) });
    const started: number[] = [agent.all('startInstances').length];
    for (const temporaryMb of [256, 129, 128, 0]) {
      agent.sends({ temporaryMb });
      started.push(agent.all('startInstances').length);
      for (const { instanceId } of agent.all('startInstances').slice(started.at(-2))) agent.ready(instanceId);
    }
    assert.deepEqual(started, [0, 1, 1, 2, 3]);
  });

  it('starts no more at a time than the agent can, and no more a minute than is allowed', async () => {
    const busy = startRig();
    const two = busy.attach({ parallelStarts: 2 });
    await busy.dispatch({ assignments: ['a', 'b', 'c'].map((id) => assignmentOf(id)) });
    assert.equal(two.all('startInstances').length, 2);
    for (const id of ['i-1', 'i-2']) two.ready(id);
    assert.equal(two.all('startInstances').length, 3);

    const slow = startRig({ startsPerMinute: 2 });
    const agent = slow.attach();
    await slow.dispatch({ assignments: ['a', 'b', 'c'].map((id) => assignmentOf(id)) });
    assert.equal(agent.all('startInstances').length, 2);
    for (const id of ['i-1', 'i-2']) agent.ready(id);
    slow.clock.advance(29_000);
    slow.maintain();
    assert.equal(agent.all('startInstances').length, 2);
    slow.clock.advance(1_001);
    slow.maintain();
    assert.equal(agent.all('startInstances').length, 3);
  });

  it('makes room: what is idle longest goes when another function needs its place', async () => {
    const rig = startRig();
    rig.registry.set('big', fnOf({ name: 'big', memoryMb: 1_024 }));
    const agent = rig.attach();
    await warm(rig, agent);
    await rig.dispatch({ assignments: [assignmentOf('needs', { function: 'big' })] });
    assert.deepEqual(agent.all('stopInstances'), [], 'the last warm one of its function is left to it for a moment');
    rig.clock.advance(1_000);
    rig.maintain();
    assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.IDLE }]);
    agent.gone('i-1');
    assert.equal(assignedTo(agent).at(-1), 'needs@i-2');
  });

  it('takes no place from others for one that would not fit all the same', async () => {
    const rig = startRig();
    rig.registry.set('huge', fnOf({ name: 'huge', memoryMb: 4_096 }));
    const agent = rig.attach();
    await warm(rig, agent);
    await rig.dispatch({ assignments: [assignmentOf('waits', { function: 'huge' })] });
    rig.clock.advance(5_000);
    rig.maintain();
    assert.deepEqual(agent.all('stopInstances'), []);
  });

  it('retires instances of an old revision, the idle at once, the busy when they are done', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('a'), assignmentOf('b')] });
    for (const id of ['i-1', 'i-2']) agent.ready(id);
    agent.sends({ reports: [endedReport('a')] });
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await rig.dispatch({ assignments: [assignmentOf('c', { revision: 2 })] });
    const stopped = () => agent.all('stopInstances').map(({ instanceId, cause }) => [instanceId, cause]);
    assert.deepEqual(stopped(), [['i-1', Cause.UPDATE]]);
    agent.sends({ reports: [endedReport('b')] });
    assert.deepEqual(stopped().at(-1), ['i-2', Cause.UPDATE]);
    for (const id of ['i-1', 'i-2']) agent.gone(id);
    assert.deepEqual(assignedTo(agent).slice(2), ['c@i-3'], 'a new event does not run the old code');
    assert.equal(agent.all('startInstances').at(-1)?.function?.revision, 2);
  });

  it('reports to the queue when the function is gone, with a code that is never retried', async () => {
    const rig = startRig();
    rig.attach();
    rig.registry.clear();
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    assert.deepEqual(agentSets(rig), ['a/1 ended START_FAILED']);
    const [report] = rig.reports;
    assert.ok(report?.report?.$case === 'ended' && report.report.value.statusCode === 435);
  });

  it('reclaims what idles too long, and nothing sooner', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await warm(rig, agent);
    rig.clock.advance(IDLE_MS);
    rig.maintain();
    assert.deepEqual(agent.all('stopInstances'), []);
    rig.clock.advance(1);
    rig.maintain();
    assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.IDLE }]);
    agent.gone('i-1');
    assert.equal(agent.agent.usedMb, 0);
  });

  it('never uses an instance again that failed, and gives its memory back when it is gone', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 128 });
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    agent.ready('i-1');
    agent.sends({ reports: [endedReport('a', 'threw')] });
    await rig.dispatch({ acks: [{ eventId: 'a', attempt: 1 }], assignments: [assignmentOf('b')] });
    assert.equal(assignedTo(agent).length, 1, 'it is still there, and in the way');
    agent.gone('i-1');
    assert.equal(assignedTo(agent).at(-1), 'b@i-2');
  });

  it('hands nothing to an idle instance whose agent is away', async () => {
    const rig = startRig();
    const away = rig.attach({ agentId: 'away' });
    await warm(rig, away);
    away.leaves();
    const here = rig.attach({ agentId: 'here' });
    await rig.dispatch({ assignments: [assignmentOf('second')] });
    rig.clock.advance(1_000);
    rig.maintain();
    assert.deepEqual(assignedTo(here), ['second@i-2']);
    const back = rig.attach({ agentId: 'away', instances: [{ instanceId: 'i-1', function: fnOf(), attempt: undefined, busy: false }] });
    await rig.dispatch({ assignments: [assignmentOf('third')] });
    assert.deepEqual(assignedTo(back), ['third@i-1'], 'and uses it again when it is back');
  });
});

describe('stopping attempts', () => {
  it('revokes waiting attempts, forwards stops of running ones, and reports unknown ones as lost', async () => {
    const rig = startRig();
    await rig.dispatch({ assignments: [assignmentOf('waits')] });
    await rig.dispatch({ stops: [forceStop('waits')] });
    assert.deepEqual(agentSets(rig), ['waits/1 revoked']);
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('runs')] });
    await rig.dispatch({ stops: [forceStop('runs'), forceStop('unknown')] });
    assert.deepEqual(
      agent.all('stops').map(({ eventId }) => eventId),
      ['runs'],
    );
    assert.equal(agentSets(rig).at(-1), 'unknown/1 ended LOST');
    const back = { ...forceStop('runs'), cause: Cause.UNSPECIFIED, mode: Mode.UNSPECIFIED };
    await rig.dispatch({ stops: [back, { ...back, eventId: 'unknown' }] });
    assert.equal(agent.all('stops').length, 1, 'what has gone to an agent is not asked back');
    assert.equal(agentSets(rig).at(-1), 'unknown/1 revoked');
  });

  it('answers an assignment it knows with all it knows, and gives it out once', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    agent.ready('i-1');
    agent.sends({ reports: [startedReport('a', 'i-1'), endedReport('a')] });
    rig.reports.length = 0;
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    assert.deepEqual(agentSets(rig), ['a/1 started', 'a/1 ended RETURNED']);
    assert.equal(assignedTo(agent).length, 1);
    agent.sends({ reports: [endedReport('a')] });
    assert.equal(rig.reports.length, 2, 'an end said twice is one end');
  });
});

describe('agents that come and go', () => {
  /** An agent that runs "a" on i-1. */
  const running = async (rig: Rig): Promise<PlayedAgent> => {
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    agent.ready('i-1');
    agent.sends({ reports: [startedReport('a', 'i-1')] });
    rig.reports.length = 0;
    return agent;
  };

  it('calls attempts lost when the lease is over, not before', async () => {
    const rig = startRig();
    const agent = await running(rig);
    rig.clock.advance(10_000);
    agent.sends({ heartbeat: { sentTime: new Date(0) } });
    agent.leaves();
    rig.clock.advance(LEASE_MS - 1);
    rig.maintain();
    assert.deepEqual(agentSets(rig), []);
    rig.clock.advance(1);
    rig.maintain();
    assert.deepEqual(agentSets(rig), ['a/1 ended LOST']);
    assert.ok(rig.reports.every(({ report }) => report?.$case === 'ended' && report.value.started?.instanceId === 'i-1'));
    assert.equal(rig.ports.cluster.agents.size, 0);
    const next = rig.attach({ agentId: 'b' });
    await rig.dispatch({ acks: [{ eventId: 'a', attempt: 1 }], assignments: [assignmentOf('a', { attempt: 2 })] });
    assert.equal(assignedTo(next).length, 1);
  });

  it('takes an agent back within its lease, with what it holds', async () => {
    const rig = startRig();
    (await running(rig)).leaves();
    rig.clock.advance(LEASE_MS - 1_000);
    const held = { instanceId: 'i-1', function: fnOf(), attempt: { eventId: 'a', attempt: 1 }, busy: false };
    const back = rig.attach({ instances: [held], held: [{ eventId: 'a', attempt: 1 }] });
    rig.clock.advance(2_000);
    rig.maintain();
    assert.deepEqual(agentSets(rig), []);
    assert.deepEqual(assignedTo(back), [], 'nothing of it is given out again');
    back.sends({ reports: [endedReport('a')] });
    await rig.dispatch({ assignments: [assignmentOf('b')] });
    assert.deepEqual(assignedTo(back), ['b@i-1']);
  });

  it('asks an agent that comes back without an attempt what became of it', async () => {
    const rig = startRig();
    (await running(rig)).leaves();
    const back = rig.attach({ sessionId: 's2' });
    const [asked] = back.all('assignments');
    assert.deepEqual([asked?.instanceId, asked?.assignment?.runningOnAgentId], ['', 'a']);
    back.sends({ reports: [endedReport('a', 'lost')] });
    assert.deepEqual(agentSets(rig), ['a/1 ended LOST']);
    assert.equal(back.agent.usedMb, 0, 'its instances are gone with the session');
  });

  it('sends a stop again that the agent may not have received', async () => {
    const rig = startRig();
    const agent = await running(rig);
    agent.leaves();
    await rig.dispatch({ stops: [forceStop('a')] });
    const held = { instanceId: 'i-1', function: fnOf(), attempt: { eventId: 'a', attempt: 1 }, busy: false };
    const back = rig.attach({ instances: [held], held: [{ eventId: 'a', attempt: 1 }] });
    assert.deepEqual(
      back.all('stops').map(({ eventId }) => eventId),
      ['a'],
    );
  });

  it('acknowledges an outcome whose caller is gone', () => {
    const rig = startRig();
    rig.clock.advance(LEASE_MS);
    const agent = rig.attach({}, { reports: [endedReport('old')] });
    rig.maintain();
    assert.deepEqual(agent.all('acks'), [{ eventId: 'old', attempt: 1 }]);
  });

  it('keeps a result for a lease that arrives before the queue has asked for it', async () => {
    const rig = startRig();
    const agent = rig.attach({}, { reports: [endedReport('a'), endedReport('old')] });
    assert.deepEqual(agent.all('acks'), [], 'a queue may still ask');
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    assert.deepEqual(agentSets(rig), ['a/1 ended RETURNED']);
    assert.deepEqual(agent.all('startInstances'), [], 'nothing runs again');
    await rig.dispatch({ acks: [{ eventId: 'a', attempt: 1 }] });
    rig.clock.advance(LEASE_MS);
    rig.maintain();
    assert.deepEqual(
      agent.all('acks').map(({ eventId }) => eventId),
      ['a', 'old'],
    );
    assert.equal(rig.ports.cluster.attempts.size, 0);
  });

  it('does not start again what an agent it has just met already runs', async () => {
    const rig = startRig();
    const held = { instanceId: 'i-1', function: fnOf(), attempt: { eventId: 'a', attempt: 1 }, busy: false };
    const agent = rig.attach({ instances: [held], held: [{ eventId: 'a', attempt: 1 }] });
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    assert.deepEqual(agent.all('startInstances'), []);
    agent.sends({ reports: [endedReport('a')] });
    assert.deepEqual(agentSets(rig), ['a/1 ended RETURNED']);
    assert.equal([...agent.agent.instances.values()][0]?.state, 'IDLE');
  });

  it('waits a lease, after its own start, for the agent of an attempt that runs somewhere', async () => {
    const rig = startRig();
    rig.clock.advance(1_000);
    await rig.dispatch({ assignments: [assignmentOf('a', { runningOnAgentId: 'a' })] });
    rig.clock.advance(LEASE_MS - 1);
    rig.maintain();
    assert.deepEqual(agentSets(rig), []);
    rig.clock.advance(1);
    rig.maintain();
    assert.deepEqual(agentSets(rig), ['a/1 ended LOST']);
  });
});
