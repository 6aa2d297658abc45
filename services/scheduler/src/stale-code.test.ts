import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attempt_Outcome as Outcome } from '@evenfall/contracts/v1/event';
import { Termination_Cause as Cause, Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { noteAnyChange, noteChange } from './flows/note-change.ts';
import { endedReport, assignedTo, startedReport } from './testing/reports.ts';
import { assignmentOf, fnOf, type PlayedAgent, type Rig, startRig } from './testing/rig.ts';

/** Status codes that were reported to the queue, by event. */
const codes = (rig: Rig): string[] =>
  rig.reports.flatMap(({ eventId, report }) => (report?.$case === 'ended' ? [`${eventId} ${report.value.statusCode}`] : []));
const started = (agent: PlayedAgent): (number | undefined)[] => agent.all('startInstances').map(({ function: fn }) => fn?.revision);
const revoked = (eventId: string) => ({ eventId, attempt: 1, report: { $case: 'revoked' as const, value: {} } });
const throttled = (eventId: string) => ({
  eventId,
  attempt: 1,
  report: { $case: 'throttled' as const, value: { statusCode: 0, retryAfter: undefined } },
});
const gone = (instanceId: string, more: { startFailed?: boolean; codeMissing?: boolean } = {}) => ({
  instanceChanges: [{ instanceId, change: { $case: 'gone' as const, value: { startFailed: false, reason: '', ...more } } }],
});

/** An agent with one warm instance, i-1, of revision 1. */
async function warm(rig: Rig): Promise<PlayedAgent> {
  const agent = rig.attach();
  await rig.dispatch({ assignments: [assignmentOf('first')] });
  agent.ready('i-1');
  agent.sends({ reports: [startedReport('first', 'i-1'), endedReport('first')] });
  await rig.dispatch({ acks: [{ eventId: 'first', attempt: 1 }] });
  rig.reports.length = 0;
  return agent;
}

describe('a function that changes', () => {
  it('is run as it is now, by events that were accepted before', async () => {
    const rig = startRig();
    const agent = await warm(rig);
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteChange(rig.ports, 'default', 'ff');
    assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.UPDATE }], 'what is idle goes at once');
    await rig.dispatch({ assignments: [assignmentOf('waited', { revision: 1 })] });
    assert.deepEqual(started(agent), [1, 2]);
    assert.deepEqual(assignedTo(agent).slice(1), ['waited@i-2']);
  });

  it('replaces a busy instance when it is free, and gives it nothing more', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 128 });
    await rig.dispatch({ assignments: [assignmentOf('runs'), assignmentOf('waits')] });
    agent.ready('i-1');
    agent.sends({ reports: [startedReport('runs', 'i-1')] });
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteChange(rig.ports, 'default', 'ff');
    assert.deepEqual(agent.all('stops'), [], 'what runs goes on');
    agent.sends({ reports: [endedReport('runs')] });
    assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.UPDATE }]);
    agent.gone('i-1');
    assert.deepEqual(assignedTo(agent), ['runs@i-1', 'waits@i-2']);
    assert.deepEqual(started(agent), [1, 2]);
  });

  for (const ready of [false, true])
    it(`asks back what was handed over and has not started, its instance ${ready ? 'up' : 'starting'}`, async () => {
      const rig = startRig();
      const agent = rig.attach();
      await rig.dispatch({ assignments: [assignmentOf('handed')] });
      if (ready) agent.ready('i-1');
      rig.registry.set('ff', fnOf({ revision: 2 }));
      await noteChange(rig.ports, 'default', 'ff');
      assert.deepEqual(
        agent.all('stops').map(({ eventId, mode }) => [eventId, mode]),
        [['handed', Mode.UNSPECIFIED]],
      );
      agent.sends({ reports: [revoked('handed')] });
      if (!ready) agent.ready('i-1');
      assert.deepEqual(started(agent), [1, 2]);
      assert.deepEqual(assignedTo(agent), ['handed@i-1', 'handed@i-2'], 'the queue need not know');
      assert.deepEqual(rig.reports, []);
      assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.UPDATE }]);
    });

  it('leaves an attempt alone that had started when it was asked back', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('handed')] });
    agent.ready('i-1');
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteChange(rig.ports, 'default', 'ff');
    agent.sends({ reports: [startedReport('handed', 'i-1'), endedReport('handed')] });
    assert.deepEqual(codes(rig), ['handed 200']);
  });

  it('asks nothing back of an agent of an earlier release, which would stop what has started', async () => {
    const rig = startRig();
    const agent = rig.attach({ recalls: false });
    await rig.dispatch({ assignments: [assignmentOf('handed')] });
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteChange(rig.ports, 'default', 'ff');
    assert.deepEqual(agent.all('stops'), []);
  });

  it('gives it back to the queue if that has asked for it too', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('handed')] });
    const back = { eventId: 'handed', attempt: 1, cause: Cause.UNSPECIFIED, mode: Mode.UNSPECIFIED, policy: undefined };
    await rig.dispatch({ stops: [back, back] });
    assert.equal(agent.all('stops').length, 1, 'asked once');
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteChange(rig.ports, 'default', 'ff');
    agent.sends({ reports: [revoked('handed')] });
    assert.deepEqual(
      rig.reports.map(({ report }) => report?.$case),
      ['revoked'],
    );
  });

  it('starts nothing while it is asked what has changed, and asks again what changed meanwhile', async () => {
    const rig = startRig();
    const agent = await warm(rig);
    const answers: ((revision: number) => void)[] = [];
    const resolve = rig.ports.resolve;
    Object.assign(rig.ports, {
      resolve: () => new Promise((answer) => answers.push((revision) => answer(fnOf({ revision })))),
    });
    const noted = noteChange(rig.ports, 'default', 'ff');
    await rig.dispatch({ assignments: [assignmentOf('second')] });
    assert.deepEqual(assignedTo(agent), ['first@i-1'], 'not on what may be old');
    const again = noteChange(rig.ports, 'default', 'ff');
    answers.shift()?.(2);
    await new Promise((turn) => setImmediate(turn));
    assert.deepEqual(started(agent), [1], 'that answer may be of before the second change');
    answers.shift()?.(3);
    await Promise.all([noted, again]);
    assert.deepEqual(started(agent), [1, 3]);
    Object.assign(rig.ports, { resolve });
  });

  it('ends the pause after crashes, and does not count those of before', async () => {
    const rig = startRig();
    const agent = rig.attach();
    for (let i = 1; i <= 6; i++) {
      await rig.dispatch({ assignments: [assignmentOf(`e${i}`)] });
      agent.sends({ reports: [{ ...endedReport(`e${i}`, 'exited') }], ...gone(`i-${i}`, { startFailed: true }) });
      rig.clock.advance(40_000);
      rig.maintain();
    }
    await rig.dispatch({ assignments: [assignmentOf('next')] });
    agent.sends(gone('i-7', { startFailed: true }));
    await rig.dispatch({ assignments: [assignmentOf('paused')] });
    const before = started(agent).length;
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteChange(rig.ports, 'default', 'ff');
    assert.ok(started(agent).length > before, 'at once');
    assert.equal(started(agent).at(-1), 2);
  });

  it('is resolved again for all functions when a watch is established again', async () => {
    const rig = startRig();
    const agent = await warm(rig);
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteAnyChange(rig.ports);
    assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.UPDATE }]);
  });

  it('uses no older instance of an agent that comes back', async () => {
    const rig = startRig();
    const agent = await warm(rig);
    agent.leaves();
    rig.registry.set('ff', fnOf({ revision: 2 }));
    await noteChange(rig.ports, 'default', 'ff');
    const back = rig.attach({ instances: [{ instanceId: 'i-1', function: fnOf(), attempt: undefined, busy: false }] });
    await rig.dispatch({ assignments: [assignmentOf('second')] });
    assert.deepEqual(assignedTo(back), ['second@i-2']);
    assert.deepEqual(back.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.UPDATE }]);
  });
});

describe('a function that is deleted', () => {
  it('ends what waits with 435 at once, and what comes later when it comes, with the id of the event in the error', async () => {
    const rig = startRig();
    const agent = rig.attach({ capacityMb: 128 });
    await rig.dispatch({ assignments: [assignmentOf('runs'), assignmentOf('waits')] });
    agent.ready('i-1');
    agent.sends({ reports: [startedReport('runs', 'i-1')] });
    rig.registry.delete('ff');
    await noteChange(rig.ports, 'default', 'ff');
    assert.deepEqual(codes(rig), ['waits 435']);
    const [report] = rig.reports.slice(-1);
    assert.ok(report?.report?.$case === 'ended');
    assert.equal(report.report.value.outcome, Outcome.START_FAILED);
    assert.equal((JSON.parse(report.report.value.error.toString()) as { requestId: string }).requestId, 'waits');
    await rig.dispatch({ assignments: [assignmentOf('retried')] });
    assert.deepEqual(codes(rig), ['waits 435', 'retried 435']);
    agent.sends({ reports: [endedReport('runs')] });
    assert.deepEqual(codes(rig).slice(2), ['runs 200'], 'what runs goes on');
    assert.deepEqual(agent.all('stopInstances'), [{ instanceId: 'i-1', cause: Cause.UPDATE }]);
  });

  it('and made anew is another one: what was accepted for the first ends, whether it waits, is handed over or comes later', async () => {
    const rig = startRig();
    rig.registry.set('ff', fnOf({ uid: 'old' }));
    const agent = rig.attach({ capacityMb: 256 });
    const old = { functionUid: 'old' };
    await rig.dispatch({ assignments: [assignmentOf('handed', old), assignmentOf('too', old), assignmentOf('waits', old)] });
    rig.registry.set('ff', fnOf({ uid: 'new', revision: 5 }));
    await noteChange(rig.ports, 'default', 'ff');
    assert.deepEqual(codes(rig), ['waits 435']);
    agent.sends({ reports: [revoked('handed'), revoked('too')] });
    await rig.dispatch({ assignments: [assignmentOf('retried', old)] });
    agent.ready('i-1');
    agent.ready('i-2');
    agent.gone('i-1');
    agent.gone('i-2');
    assert.deepEqual(codes(rig).sort(), ['handed 435', 'retried 435', 'too 435', 'waits 435']);
    await rig.dispatch({ assignments: [assignmentOf('own', { functionUid: 'new', revision: 5 })] });
    assert.deepEqual(assignedTo(agent).slice(2), ['own@i-3']);
  });

  it('is not mistaken for one that is newer than what is known', async () => {
    const rig = startRig();
    rig.registry.set('ff', fnOf({ uid: 'old' }));
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('first', { functionUid: 'old' })] });
    rig.registry.set('ff', fnOf({ uid: 'new', revision: 2 }));
    await rig.dispatch({ assignments: [assignmentOf('early', { functionUid: 'new', revision: 2 })] });
    assert.deepEqual(codes(rig), []);
    assert.deepEqual(assignedTo(agent).slice(1), ['early@i-2']);
  });

  it('runs events of which it is not known whose they are', async () => {
    const rig = startRig();
    rig.registry.set('ff', fnOf({ uid: 'any' }));
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('unknown')] });
    assert.deepEqual(assignedTo(agent), ['unknown@i-1']);
  });
});

describe('a code package that is no longer there', () => {
  it('is no error of the event: the newest revision is asked for and run, and nothing counts as a crash', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    rig.registry.set('ff', fnOf({ revision: 2 })); // and the watch has not said so yet
    agent.sends({ reports: [throttled('a')], ...gone('i-1', { startFailed: true, codeMissing: true }) });
    await new Promise((turn) => setImmediate(turn));
    assert.deepEqual(assignedTo(agent), ['a@i-1', 'a@i-2']);
    assert.deepEqual(started(agent), [1, 2]);
    assert.deepEqual(codes(rig), []);
  });

  it('ends them with 435 if the registry knows of no other', async () => {
    const rig = startRig();
    const agent = rig.attach();
    await rig.dispatch({ assignments: [assignmentOf('a')] });
    agent.sends({ reports: [throttled('a')], ...gone('i-1', { startFailed: true, codeMissing: true }) });
    await new Promise((turn) => setImmediate(turn));
    assert.deepEqual(codes(rig), ['a 435']);
  });
});
