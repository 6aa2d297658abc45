import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import type { AgentSet, DispatchRequest } from '@evenfall/contracts/scheduler/v1/scheduler_service';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import type { ReportSink } from './domain/types.ts';
import { applyDispatch } from './flows/dispatch.ts';
import { closeStream, openStream } from './flows/agent-sets.ts';
import { assignmentOf, fnOf, LEASE_MS, type PlayedAgent, type Rig, startRig } from './testing/rig.ts';

const key = { eventId: 'a', attempt: 1 };
const mayBeDispatched = assignmentOf('a', { mayBeDispatched: true });
const startedOn = (agentId: string): AttemptReport => ({
  ...key,
  report: {
    $case: 'started',
    value: { instanceId: 'old', agentId, coldStart: false, coldStartDetail: undefined, startTime: new Date(0), memoryMb: 128 },
  },
});
const ended = (how: 'returned' | 'lost'): AttemptReport => ({ ...key, report: { $case: 'ended', value: endedAs(how, 0) } });
const stopOf = (mode: Mode): DispatchRequest['stops'][number] => ({ ...key, cause: Cause.USER, mode, policy: undefined, partition: 0 });
const assignedTo = (agent: PlayedAgent): string[] => agent.all('assignments').map(({ assignment }) => assignment?.eventId ?? '');

/** Lets the registry answer, too. */
async function runMaintenance(rig: Rig): Promise<void> {
  rig.maintain();
  await new Promise((resolve) => setImmediate(resolve));
}

/** A queue replica with a stream of its own. */
type Replica = {
  readonly sink: ReportSink;
  readonly agentSets: AgentSet[];
  readonly reports: AttemptReport[];
  closed: boolean;
  sends(batch: Partial<DispatchRequest>): Promise<void>;
  /** Acknowledges the last agent set. */
  echoes(): Promise<void>;
};

/** A replica that knew of these agents before, or of none in particular. */
async function replicaOf(rig: Rig, before: readonly string[] | undefined, partition = 0): Promise<Replica> {
  const agentSets: AgentSet[] = [];
  const reports: AttemptReport[] = [];
  const sink: ReportSink = {
    report: (report) => void reports.push(report),
    claims: new Map([[partition, 1n]]),
    agents: (agents) => void agentSets.push(agents),
  };
  rig.ports.cluster.epochs.set(partition, 1n);
  const sends = async (batch: Partial<DispatchRequest>): Promise<void> => {
    applyDispatch(rig.ports, { assignments: [], stops: [], acks: [], claims: [], agents: undefined, ...batch }, sink);
    await new Promise((resolve) => setImmediate(resolve));
  };
  const replica: Replica = { sink, agentSets, reports, closed: false, sends, echoes: () => sends({ agents: agentSets.at(-1) }) };
  openStream(rig.ports, sink, () => {
    closeStream(rig.ports, sink);
    replica.closed = true;
  });
  await sends({ agents: before && { agentIds: [...before], isComplete: true, version: 9 } });
  return replica;
}

describe('a scheduler that takes the place of another', () => {
  it('waits for the agents there were before it gives away what they may have', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, ['a', 'b']);
    const first = rig.attach({ agentId: 'a' });
    await replica.sends({ agents: replica.agentSets.at(-1), assignments: [mayBeDispatched, assignmentOf('new', { function: 'fg' })] });
    assert.deepEqual(assignedTo(first), ['new'], 'what is new need not wait');
    const second = rig.attach({ agentId: 'b' });
    await replica.echoes();
    assert.deepEqual([...assignedTo(first), ...assignedTo(second)].sort(), ['a', 'new'], 'no agent had it');
  });

  it('does not give away what an agent runs, however late it comes back', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, ['a', 'b']);
    const first = rig.attach({ agentId: 'a' });
    await replica.sends({ agents: replica.agentSets.at(-1), assignments: [mayBeDispatched] });
    rig.clock.advance(LEASE_MS - 1);
    rig.maintain();
    const held = { instanceId: 'old', function: fnOf(), attempt: key, busy: false };
    const second = rig.attach({ agentId: 'b', instances: [held], held: [key] }, { reports: [startedOn('b')] });
    await replica.echoes();
    rig.clock.advance(1);
    rig.maintain();
    assert.deepEqual([assignedTo(first), assignedTo(second)], [[], []]);
    second.sends({ reports: [ended('returned')] });
    assert.deepEqual(
      replica.reports.map(({ report }) => report?.$case),
      ['started', 'ended'],
    );
    assert.equal(second.agent.instances.get('old')?.state, 'IDLE');
  });

  it('takes the outcome an agent has kept, though the attempt waits for an instance already', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, ['a']);
    await replica.sends({ assignments: [assignmentOf('a')] }); // not marked: an old replica, say
    const agent = rig.attach({ agentId: 'a', held: [key] });
    await replica.echoes();
    agent.sends({ reports: [ended('returned')] });
    assert.deepEqual([assignedTo(agent), agent.all('startInstances')], [[], []]);
    assert.deepEqual(
      replica.reports.map(({ report }) => report?.$case),
      ['ended'],
    );
  });

  it('passes on the start that comes with the result, in every way the queue gets it', async () => {
    const start = startedOn('a').report;
    assert.ok(start?.$case === 'started');
    const kept: AttemptReport = {
      ...key,
      partition: 0,
      report: { $case: 'ended', value: { ...endedAs('returned', 0), started: start.value } },
    };
    const asks: Partial<DispatchRequest>[] = [
      { claims: [{ partition: 0, epoch: 2n }] },
      { assignments: [mayBeDispatched] },
      { stops: [stopOf(Mode.FORCE)] },
    ];
    for (const ask of asks) {
      const rig = startRig();
      rig.attach({ agentId: 'a', held: [{ ...key, partition: 0 }] }, { reports: [kept] });
      const replica = await replicaOf(rig, ['a']);
      await replica.sends(ask);
      const [received, ...more] = replica.reports;
      assert.ok(received?.report?.$case === 'ended' && more.length === 0);
      assert.deepEqual(received.report.value.started, start.value);
    }
  });

  it('keeps results of agents until the owner of the partition has acknowledged them, or does not want them', async () => {
    const rig = startRig();
    const kept = ['a', 'old'].map((eventId) => ({ ...ended('returned'), eventId, partition: 7 }));
    const agent = rig.attach({ agentId: 'a', held: kept.map(({ eventId }) => ({ eventId, attempt: 1, partition: 7 })) }, { reports: kept });
    rig.clock.advance(LEASE_MS - 1);
    agent.sends({ cpuBusy: 0 }); // a sign of life
    rig.clock.advance(LEASE_MS - 1);
    rig.maintain();
    assert.deepEqual(agent.all('acks'), [], 'its owner may still claim it');
    const replica = await replicaOf(rig, undefined, 8);
    const agentSets = (): unknown => replica.reports.map(({ eventId, partition, report }) => [eventId, partition, report?.$case]);
    await replica.sends({ claims: [{ partition: 7, epoch: 2n }] });
    assert.deepEqual(agentSets(), [
      ['a', 7, 'ended'],
      ['old', 7, 'ended'],
    ]);
    agent.sends({ reports: [{ ...ended('returned'), eventId: 'older', partition: 7 }] });
    assert.equal(replica.reports.length, 3, 'and what comes later at once');
    await replica.sends({ assignments: [{ ...mayBeDispatched, partition: 7 }] });
    assert.deepEqual(assignedTo(agent), [], 'it has ended');
    await replica.sends({ acks: ['a', 'old', 'older'].map((eventId) => ({ eventId, attempt: 1, partition: undefined })) });
    assert.equal(agent.all('acks').length, 3);
    assert.equal(rig.ports.cluster.attempts.size, 0);
  });

  it('waits a lease where an agent does not attach again, or the earlier agents are not known', async () => {
    for (const before of [['a', 'gone'], undefined]) {
      const rig = startRig();
      const replica = await replicaOf(rig, before);
      const agent = rig.attach({ agentId: 'a' });
      await replica.sends({ agents: replica.agentSets.at(-1), assignments: [mayBeDispatched] });
      rig.clock.advance(LEASE_MS - 1);
      rig.maintain();
      assert.deepEqual(assignedTo(agent), []);
      rig.clock.advance(1);
      await runMaintenance(rig);
      assert.deepEqual(assignedTo(agent), ['a']);
    }
  });

  it('does not wait where nothing outlives it', async () => {
    const rig = startRig({ isShared: false });
    const replica = await replicaOf(rig, undefined);
    const agent = rig.attach({ agentId: 'a' });
    await replica.sends({ agents: replica.agentSets.at(-1), assignments: [mayBeDispatched] });
    assert.deepEqual(assignedTo(agent), ['a']);
  });

  it('has an agent stop what went on without it', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, ['b']);
    const agent = rig.attach({ agentId: 'a' });
    await replica.sends({ agents: replica.agentSets.at(-1), assignments: [mayBeDispatched] });
    rig.clock.advance(LEASE_MS);
    await runMaintenance(rig);
    assert.deepEqual(assignedTo(agent), ['a'], 'the other one had a lease');
    const late = rig.attach({ agentId: 'b', held: [key] }, { reports: [ended('lost')] });
    assert.deepEqual(
      late.all('stops').map(({ mode }) => mode),
      [Mode.FORCE],
    );
    assert.deepEqual(late.all('acks'), [key]);
    assert.deepEqual(replica.reports, [], 'the end of one is not the end of the other');
  });

  it('revokes an attempt with a stop once it is certain that no agent has it, and sends the stop to an agent that has it', async () => {
    for (const hasIt of [false, true]) {
      const rig = startRig();
      const replica = await replicaOf(rig, ['a']);
      await replica.sends({ assignments: [mayBeDispatched], stops: [stopOf(Mode.FORCE)] });
      assert.equal(replica.reports.length, 0);
      const agent = rig.attach({ agentId: 'a', held: hasIt ? [key] : [] });
      assert.equal(agent.all('stops').length, hasIt ? 1 : 0);
      assert.deepEqual(
        replica.reports.map(({ report }) => report?.$case),
        hasIt ? [] : ['revoked'],
      );
    }
  });
});

describe('who knows of which agents', () => {
  it('assigns nothing to an agent before every replica has acknowledged it', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, []);
    const other = await replicaOf(rig, [], 1);
    const agent = rig.attach({ agentId: 'a' });
    await replica.sends({ assignments: [assignmentOf('new', { function: 'fg' })] });
    await replica.echoes();
    assert.deepEqual(assignedTo(agent), []);
    await other.echoes();
    assert.deepEqual(assignedTo(agent), ['new']);
    const { agentIds, isComplete } = replica.agentSets.at(-1) ?? {};
    assert.deepEqual([agentIds, isComplete], [['a'], true]);
  });

  it('asks anew about one that was lost and comes back', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, []);
    const agent = rig.attach({ agentId: 'a' });
    await replica.echoes();
    const before = replica.agentSets.at(-1);
    agent.leaves();
    rig.clock.advance(LEASE_MS);
    rig.maintain();
    const back = rig.attach({ agentId: 'a', sessionId: 's2' });
    await replica.sends({ agents: before, assignments: [assignmentOf('new')] });
    assert.deepEqual(assignedTo(back), [], 'it acknowledges an older set');
    await replica.echoes();
    assert.deepEqual(assignedTo(back), ['new']);
  });

  it('goes on using acknowledged agents while a replica that connected later has not acknowledged them', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, []);
    const agent = rig.attach({ agentId: 'a' });
    await replica.echoes();
    await replicaOf(rig, [], 1);
    const other = rig.attach({ agentId: 'b' });
    await replica.sends({ agents: replica.agentSets.at(-1), assignments: [assignmentOf('new', { function: 'fg' })] });
    assert.deepEqual([assignedTo(agent), assignedTo(other)], [['new'], []]);
  });

  it('includes agents it waits for in the set, and marks a set that is not complete', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, ['gone']);
    const unknowing = await replicaOf(rig, undefined, 1);
    rig.attach({ agentId: 'a' });
    assert.deepEqual(new Set(replica.agentSets.at(-1)?.agentIds), new Set(['a', 'gone']));
    assert.deepEqual([replica.agentSets.at(-1)?.isComplete, unknowing.agentSets.at(-1)?.isComplete], [true, false]);
    await Promise.all([replica.echoes(), unknowing.echoes()]);
    rig.clock.advance(LEASE_MS - 1);
    rig.attach({ agentId: 'a' }); // a sign of life
    rig.clock.advance(1);
    rig.maintain();
    const { agentIds, isComplete } = unknowing.agentSets.at(-1) ?? {};
    assert.deepEqual([agentIds, isComplete], [['a'], true]);
  });

  it('ends the stream of a replica that does not answer, and forgets what waited by it', async () => {
    const rig = startRig();
    const replica = await replicaOf(rig, []);
    const deaf = await replicaOf(rig, [], 1);
    await deaf.sends({ assignments: [assignmentOf('waits', { partition: 1 })] });
    const agent = rig.attach({ agentId: 'a' });
    await replica.sends({ agents: replica.agentSets.at(-1), assignments: [assignmentOf('new', { function: 'fg' })] });
    rig.clock.advance(LEASE_MS / 3);
    rig.maintain();
    assert.equal(deaf.closed, false);
    rig.clock.advance(1);
    rig.maintain();
    assert.deepEqual([deaf.closed, replica.closed], [true, false]);
    await runMaintenance(rig);
    assert.deepEqual(assignedTo(agent), ['new']);
    assert.equal(rig.ports.cluster.attempts.has('waits'), false);
  });
});
