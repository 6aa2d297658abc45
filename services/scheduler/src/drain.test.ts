import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Agent_State as State } from '@evenfall/contracts/v1/operator_service';
import { isRefusal } from '@evenfall/errors';
import { durationOfMs } from '@evenfall/time';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { drainAgent } from './flows/drain-agent.ts';
import { listAgents } from './flows/list.ts';
import { assignmentOf, LEASE_MS, type PlayedAgent, type Rig, startRig } from './testing/rig.ts';

const assignedTo = (agent: PlayedAgent): string[] =>
  agent.all('assignments').map(({ instanceId, assignment }) => `${assignment?.eventId}@${instanceId}`);
const ends = (agent: PlayedAgent, eventId: string, ending: 'returned' | 'exited'): void =>
  agent.sends({ reports: [{ eventId, attempt: 1, report: { $case: 'ended', value: endedAs(ending, 0) }, partition: undefined }] });

describe('draining a host', () => {
  it('sends nothing there any more, and everything elsewhere', async () => {
    const rig = startRig();
    const [a, b] = [rig.attach({ agentId: 'a', capacityMb: 4_096 }), rig.attach({ agentId: 'b' })];
    await rig.dispatch({ assignments: [assignmentOf('one')] });
    a.ready('i-1');
    ends(a, 'one', 'returned');
    assert.equal(drainAgent(rig.ports, { agentId: 'a', deadline: durationOfMs(5_000) }).agent?.state, State.DRAINING);
    assert.deepEqual(a.got.at(-1)?.drain, { deadline: durationOfMs(5_000) });
    await rig.dispatch({ assignments: [assignmentOf('two')] });
    assert.deepEqual([assignedTo(a), assignedTo(b)], [['one@i-1'], ['two@i-2']], 'not to the idle instance of the host that drains');
  });

  it('lets events wait if there is no other host, until one attaches', async () => {
    const rig = startRig();
    const a = rig.attach();
    drainAgent(rig.ports, { agentId: 'a', deadline: undefined });
    await rig.dispatch({ assignments: [assignmentOf('waits')] });
    rig.maintain();
    assert.deepEqual(assignedTo(a), []);
    const b = rig.attach({ agentId: 'b', sessionId: 's2' });
    assert.deepEqual(assignedTo(b), ['waits@i-1']);
  });

  it('is reported by the agent too, can only be brought forward, outlives a reconnect, and ends with a new start', () => {
    const rig = startRig();
    const a = rig.attach();
    const stateOf = (): unknown[] =>
      listAgents(rig.ports, { pageSize: 0, pageToken: '' }).agents.map(({ state, drainDeadlineTime }) => [
        state,
        drainDeadlineTime?.getTime(),
      ]);
    const nowMs = rig.clock.now();
    a.sends({ drain: { deadline: durationOfMs(10_000) } });
    assert.deepEqual(stateOf(), [[State.DRAINING, nowMs + 10_000]]);
    a.sends({ drain: { deadline: durationOfMs(20_000) } });
    assert.deepEqual(stateOf(), [[State.DRAINING, nowMs + 10_000]]);
    a.leaves();
    const again = rig.attach();
    assert.deepEqual(stateOf(), [[State.DRAINING, nowMs + 10_000]]);
    assert.ok(again.got[0]?.drain, 'it is sent again: the agent may not have received it');
    again.leaves();
    rig.attach({ sessionId: 's2' });
    assert.deepEqual(stateOf(), [[State.ATTACHED, undefined]]);
  });

  it('is refused for a host that is not known, or is away', () => {
    const rig = startRig();
    rig.attach().leaves();
    for (const agentId of ['a', 'b'])
      assert.throws(
        () => drainAgent(rig.ports, { agentId, deadline: undefined }),
        (error) => isRefusal(error) && error.reason === 'AGENT_NOT_FOUND',
      );
  });
});

describe('a host that is silent while its stream is open', () => {
  const wait = (rig: Rig, ms: number, others: () => void = () => undefined): void => {
    for (let passedMs = 0; passedMs < ms; passedMs += 1_000) {
      rig.clock.advance(1_000);
      others();
      rig.maintain();
    }
  };

  it('is lost once its lease is over', async () => {
    const rig = startRig();
    const a = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('one')] });
    wait(rig, LEASE_MS - 2_000);
    assert.deepEqual(rig.reports, []);
    wait(rig, 3_000);
    assert.equal(rig.reports.length, 1, 'its attempt is lost');
    assert.equal(a.agent.send, undefined);
  });

  it('is not, if it was the scheduler that stood still', async () => {
    const rig = startRig();
    const a = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('one')] });
    rig.clock.advance(LEASE_MS * 2);
    rig.maintain();
    assert.deepEqual(rig.reports, []);
    wait(rig, LEASE_MS * 2, () => a.sends({ heartbeat: { sentTime: new Date(0) } }));
    assert.deepEqual(rig.reports, []);
  });
});

describe('a function whose instances crash', () => {
  for (const [how, end] of [
    ['exit', endedAs('exited', 0)],
    ['have a runtime that cannot be talked to', { ...endedAs('threw', 0), signal: 'SIGKILL' }],
  ] as const)
    it(`starts new ones after growing pauses only where they ${how}, and as before once one has answered`, async () => {
      const rig = startRig();
      const agent = rig.attach({ capacityMb: 100_000, parallelStarts: 100 });
      const ids = Array.from({ length: 40 }, (_, i) => `e${i}`);
      const starts = (): number => agent.all('startInstances').length;
      const crash = (): void => {
        const { instanceId, assignment } = agent.all('assignments').at(-1) ?? {};
        agent.sends({
          reports: [{ eventId: assignment?.eventId ?? '', attempt: 1, report: { $case: 'ended', value: end }, partition: undefined }],
        });
        agent.gone(instanceId ?? '');
      };
      await rig.dispatch({ assignments: [assignmentOf(ids.shift() ?? '')] });
      for (let i = 0; i < 2; i++) {
        agent.ready(agent.all('assignments').at(-1)?.instanceId ?? '');
        crash();
        await rig.dispatch({ assignments: [assignmentOf(ids.shift() ?? '')] });
      }
      assert.equal(starts(), 3, 'a few crashes are no crash loop');
      const pauses: number[] = [];
      for (let i = 0; i < 10; i++) {
        crash();
        await rig.dispatch({ assignments: [assignmentOf(ids.shift() ?? '')] });
        const before = starts();
        let pausedMs = 0;
        for (; starts() === before && pausedMs < 60_000; pausedMs += 100) {
          rig.clock.advance(100);
          agent.sends({ heartbeat: { sentTime: new Date(0) } });
          rig.maintain();
        }
        pauses.push(pausedMs);
      }
      assert.deepEqual(pauses, [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
      const { instanceId, assignment } = agent.all('assignments').at(-1) ?? {};
      agent.ready(instanceId ?? '');
      ends(agent, assignment?.eventId ?? '', 'returned');
      const before = starts();
      await rig.dispatch({ assignments: ids.slice(0, 5).map((id) => assignmentOf(id)) });
      rig.clock.advance(1_000);
      rig.maintain();
      assert.ok(starts() > before, 'nothing waits any more');
    });

  it('that cannot be loaded does the same', async () => {
    const rig = startRig();
    const agent = rig.attach();
    for (const id of ['a', 'b', 'c']) {
      await rig.dispatch({ assignments: [assignmentOf(id)] });
      const instanceId = agent.all('startInstances').at(-1)?.instanceId ?? '';
      agent.sends({ instanceChanges: [{ instanceId, change: { $case: 'gone', value: { startFailed: true, reason: '' } } }] });
    }
    await rig.dispatch({ assignments: [assignmentOf('d')] });
    assert.equal(agent.all('startInstances').length, 3);
    rig.clock.advance(200);
    rig.maintain();
    assert.equal(agent.all('startInstances').length, 4);
  });
});
