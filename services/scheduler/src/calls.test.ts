import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { isRefusal } from '@evenfall/errors';
import { durationOfMs } from '@evenfall/time';
import { invoke } from './flows/invoke.ts';
import { endedReport, assignedTo, startedReport } from './testing/reports.ts';
import { assignmentOf, type Rig, startRig } from './testing/rig.ts';

describe('a synchronous call', () => {
  const call = (rig: Rig, eventId: string, queueTimeoutMs = 10_000, leaving?: { signal: AbortSignal; cancels: boolean }) =>
    invoke(
      rig.ports,
      {
        assignment: assignmentOf(eventId, { synchronous: true }),
        queueTimeout: durationOfMs(queueTimeoutMs),
        cancelOnDisconnect: leaving?.cancels ?? false,
      },
      leaving?.signal ?? new AbortController().signal,
    );
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  it('answers with its end, and leaves nothing in memory', async () => {
    const rig = startRig();
    const agent = rig.attach();
    const answer = call(rig, 'a');
    await turn();
    agent.ready('i-1');
    agent.sends({ reports: [startedReport('a', 'i-1'), endedReport('a', 'threw')] });
    const { started: start, ended } = await answer;
    assert.deepEqual([start?.instanceId, ended?.statusCode], ['i-1', 430]);
    assert.equal(rig.ports.cluster.attempts.size, 0);
    const again = call(rig, 'b');
    await turn();
    assert.equal(assignedTo(agent).at(-1), 'b@i-1', 'an exception of a synchronous call does not cost the instance');
    agent.sends({ reports: [endedReport('b')] });
    await again;
  });

  it('is refused when no instance became free in time', async () => {
    const rig = startRig();
    await assert.rejects(call(rig, 'a', 20), (error) => isRefusal(error) && error.reason === 'CONCURRENCY_EXHAUSTED');
    assert.equal(rig.ports.cluster.attempts.size, 0);
    const agent = rig.attach();
    assert.deepEqual(assignedTo(agent), [], 'and does not run later');
  });

  for (const cancels of [false, true])
    it(
      cancels ? 'is stopped by its own policy when its caller leaves, if it asked for that' : 'runs on when its caller leaves',
      async () => {
        const rig = startRig();
        const agent = rig.attach();
        const leaving = new AbortController();
        const answer = call(rig, 'a', 10_000, { signal: leaving.signal, cancels });
        await turn();
        agent.ready('i-1');
        agent.sends({ reports: [startedReport('a', 'i-1')] });
        leaving.abort();
        assert.deepEqual(
          agent.all('stops').map(({ eventId, mode, policy }) => [eventId, mode, policy]),
          cancels ? [['a', Mode.GRACEFUL, undefined]] : [],
        );
        agent.sends({ reports: [endedReport('a', cancels ? 'killed' : 'returned')] });
        assert.equal((await answer).ended?.statusCode, cancels ? 499 : 200);
        assert.equal(rig.ports.cluster.attempts.size, 0, 'nothing of it stays');
      },
    );

  it('gives an instance nothing while what its function left behind goes on', async () => {
    const rig = startRig();
    const agent = rig.attach();
    const first = call(rig, 'a');
    await turn();
    agent.ready('i-1');
    const end = endedReport('a');
    if (end.report?.$case === 'ended') end.report.value.instanceBusy = true;
    agent.sends({ reports: [startedReport('a', 'i-1'), end] });
    await first;
    const second = call(rig, 'b');
    await turn();
    assert.deepEqual(assignedTo(agent), ['a@i-1', 'b@i-2'], 'another instance takes it');
    agent.sends({ reports: [startedReport('b', 'i-2'), endedReport('b')] });
    await second;
    agent.ready('i-1');
    const third = call(rig, 'c');
    await turn();
    assert.equal(assignedTo(agent).at(-1), 'c@i-1', 'free again');
    agent.sends({ reports: [endedReport('c')] });
    await third;
  });
});
