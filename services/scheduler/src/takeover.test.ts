import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import type { ReportSink } from './domain/types.ts';
import { applyDispatch } from './flows/dispatch.ts';
import { invoke } from './flows/invoke.ts';
import { assignmentOf, startRig } from './testing/rig.ts';

const started: AttemptReport = {
  eventId: 'runs',
  attempt: 1,
  report: {
    $case: 'started',
    value: { instanceId: 'i-1', agentId: 'a', coldStart: true, coldStartDetail: undefined, startTime: new Date(0), memoryMb: 128 },
  },
};
const ended: AttemptReport = { eventId: 'runs', attempt: 1, report: { $case: 'ended', value: endedAs('returned', 0) } };
const forceStop = { eventId: 'runs', attempt: 1, cause: Cause.USER, mode: Mode.FORCE, policy: undefined };

describe('partitions that move between queue replicas', () => {
  it('drops what waits, hands over what runs, and ignores the former owner', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 128 });
    await rig.dispatch({ assignments: [assignmentOf('runs'), assignmentOf('waits')] });
    agent.ready('i-1');
    agent.sends({ reports: [started] });
    const received: AttemptReport[] = [];
    const successor: ReportSink = { report: (report) => void received.push(report), claims: new Map() };
    const batch = { assignments: [], stops: [], acks: [], claims: [{ partition: 0, epoch: 2n }], agents: undefined };
    applyDispatch(rig.ports, batch, successor);
    assert.deepEqual(
      received.map(({ eventId, report, partition }) => [eventId, report?.$case, partition]),
      [['runs', 'started', 0]],
    );
    assert.deepEqual([...rig.ports.cluster.attempts.keys()], ['runs']);
    rig.reports.length = 0;
    await rig.dispatch({
      assignments: [assignmentOf('late')],
      stops: [{ ...forceStop }],
      claims: [{ partition: 0, epoch: 1n }],
    });
    assert.deepEqual([...rig.ports.cluster.attempts.keys()], ['runs'], 'it owns no partition any more');
    assert.deepEqual(agent.all('stops'), []);
    agent.sends({ reports: [ended] });
    assert.deepEqual([rig.reports.length, received.at(-1)?.report?.$case], [0, 'ended']);
    applyDispatch(rig.ports, { ...batch, claims: [], assignments: [assignmentOf('waits')] }, successor);
    assert.ok(rig.ports.cluster.attempts.has('waits'));
  });

  it('that are taken over by the same replica again: it does not know the reports in between', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 128 });
    await rig.dispatch({ assignments: [assignmentOf('runs'), assignmentOf('waits')] });
    agent.ready('i-1');
    agent.sends({ reports: [started] });
    const removeReports = (): unknown[] => rig.reports.splice(0).map(({ eventId, report }) => [eventId, report?.$case]);
    removeReports();
    await rig.dispatch({ claims: [{ partition: 0, epoch: 1n }] });
    assert.deepEqual([removeReports(), rig.ports.cluster.attempts.size], [[], 2], 'the same claim changes nothing');
    await rig.dispatch({ claims: [{ partition: 0, epoch: 2n }] });
    assert.deepEqual(removeReports(), [['runs', 'started']]);
    assert.deepEqual([...rig.ports.cluster.attempts.keys()], ['runs'], 'what waits is its to dispatch again');
    agent.sends({ reports: [ended] });
    removeReports();
    await rig.dispatch({ claims: [{ partition: 0, epoch: 3n }] });
    assert.deepEqual(removeReports(), [
      ['runs', 'started'],
      ['runs', 'ended'],
    ]);
  });

  it('leaves other partitions and waiting callers alone', async () => {
    const rig = startRig();
    rig.attach();
    rig.ports.cluster.epochs.set(7, 1n);
    rig.sink.claims?.set(7, 1n);
    await rig.dispatch({ assignments: [assignmentOf('other', { partition: 7 })] });
    const leaving = new AbortController();
    const call = invoke(
      rig.ports,
      { assignment: assignmentOf('call', { synchronous: true }), queueTimeout: undefined, cancelOnDisconnect: true },
      leaving.signal,
    );
    const successor: ReportSink = { report: () => undefined, claims: new Map() };
    applyDispatch(rig.ports, { assignments: [], stops: [], acks: [], claims: [{ partition: 0, epoch: 2n }], agents: undefined }, successor);
    assert.deepEqual([...rig.ports.cluster.attempts.keys()].sort(), ['call', 'other']);
    leaving.abort();
    await assert.rejects(call);
  });
});
