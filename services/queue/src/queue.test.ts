import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Assignment } from '@evenfall/contracts/attempt/v1/attempt';
import { TerminateEventRequest_Wait as Wait } from '@evenfall/contracts/queue/v1/queue_service';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { Termination_Mode as Mode, Termination_Outcome as StopOutcome } from '@evenfall/contracts/v1/termination';
import { isRefusal } from '@evenfall/errors';
import type { AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { eventually } from '@evenfall/testkit';
import { durationOfMs, fakeClock } from '@evenfall/time';
import { type ResultName, endedAs, signalSent } from '../../../libs/event-model/src/testing/life.ts';
import { memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { acceptedOf, partitionOf, type Rig, type RigOptions, startedReport, startRig } from './testing/rig.ts';

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});
const start = (options: RigOptions = {}): Rig => {
  const rig = startRig(options);
  rigs.push(rig);
  return rig;
};
const assignmentOf = (rig: Rig, id: string, attempt = 1): Promise<Assignment> =>
  eventually(() => rig.sent.assignments.find((one) => one.eventId === id && one.attempt === attempt));
const endedReport = ({ eventId, attempt, partition }: Assignment, ending: ResultName) => ({
  eventId,
  attempt,
  partition,
  report: { $case: 'ended' as const, value: endedAs(ending, Date.now()) },
});
const reaches = (rig: Rig, id: string, state: State) => eventually(() => rig.event(id)?.state === state && rig.event(id));
const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'none',
    (error: unknown) => (isRefusal(error) ? error.reason : String(error)),
  );

describe('dispatching', () => {
  it('sends what was accepted, records what comes back, and acknowledges only what the log has', async () => {
    const rig = start();
    const id = await rig.accept();
    const assignment = await assignmentOf(rig, id);
    assert.deepEqual([assignment.attempt, assignment.runningOnAgentId, assignment.payload.toString()], [1, '', '{}']);
    rig.report(startedReport(assignment));
    await reaches(rig, id, State.RUNNING);
    assert.deepEqual(rig.sent.acks, []);
    rig.log.failNext(2);
    rig.report(endedReport(assignment, 'returned'));
    await eventually(() => rig.sent.acks.some((ack) => ack.eventId === id));
    assert.equal(rig.event(id)?.state, State.SUCCEEDED, 'the log had it first, though it failed twice');
    assert.deepEqual(rig.changes(id), ['accepted', 'attemptStarted', 'attemptEnded']);
  });

  it('writes a start and an end that come together as one record', async () => {
    const rig = start();
    const id = await rig.accept();
    const assignment = await assignmentOf(rig, id);
    rig.report(startedReport(assignment), endedReport(assignment, 'returned'));
    await reaches(rig, id, State.SUCCEEDED);
    assert.deepEqual(rig.changes(id), ['accepted', 'attemptEnded']);
    assert.equal(rig.event(id)?.attempts[0]?.instanceId, 'i');
  });

  it('refuses events that the log does not store, and does not run them', async () => {
    const rig = start();
    const first = await rig.accept();
    await assignmentOf(rig, first);
    rig.log.failNext(1);
    assert.equal(await reasonOf(rig.accept()), 'LOG_UNAVAILABLE');
    const next = await rig.accept();
    await assignmentOf(rig, next);
    assert.deepEqual(rig.assigned(), [first, next]);
  });

  it('keeps to the order of a lane', async () => {
    const rig = start();
    const ids: string[] = [];
    for (let i = 0; i < 20; i++) ids.push(await rig.accept());
    await eventually(() => rig.assigned().length === 20);
    assert.deepEqual(rig.assigned(), ids);
  });

  it('acknowledges a late report of an attempt of the past, and changes nothing', async () => {
    const rig = start();
    const id = await rig.accept({ policy: { maxRetries: 1, retryIntervalMs: 1 } });
    const first = await assignmentOf(rig, id, 1);
    rig.report(startedReport(first), endedReport(first, 'threw'));
    const second = await assignmentOf(rig, id, 2);
    rig.report(startedReport(second));
    await reaches(rig, id, State.RUNNING);
    const before = rig.changes(id);
    const acks = rig.sent.acks.length;
    rig.report(endedReport(first, 'returned'));
    await eventually(() => rig.sent.acks.length > acks);
    assert.deepEqual(rig.sent.acks.at(-1), { eventId: id, attempt: 1 });
    assert.deepEqual(rig.changes(id), before);
    rig.report(endedReport({ ...second, eventId: '01990000-0000-7000-8000-00000000dead' }, 'returned'));
    await eventually(() => rig.sent.acks.some(({ eventId }) => eventId.endsWith('dead')));
    rig.report(endedReport(second, 'returned'));
    assert.equal((await reaches(rig, id, State.SUCCEEDED)).attempts.length, 2);
  });

  it('says what is on its way again when the stream was broken', async () => {
    const rig = start();
    const waiting = await rig.accept();
    const running = await rig.accept();
    rig.report(startedReport(await assignmentOf(rig, running)));
    await reaches(rig, running, State.RUNNING);
    await assignmentOf(rig, waiting);
    rig.breakStream();
    await eventually(() => rig.sent.assignments.length === 4, 10_000);
    const again = rig.sent.assignments.slice(2);
    assert.deepEqual(
      again.map(({ eventId, attempt, runningOnAgentId }) => [eventId, attempt, runningOnAgentId]),
      [
        [waiting, 1, ''],
        [running, 1, 'a'],
      ],
    );
  });

  it('says which attempts an agent may have already, and which agents the scheduler named', async () => {
    const rig = start();
    const set = { agentIds: ['a', 'b'], isComplete: true, version: 1 };
    const id = await rig.accept();
    assert.equal((await assignmentOf(rig, id)).mayBeDispatched, false);
    rig.sendAgents(set);
    await eventually(() => rig.agentSets[0]?.length === 2);
    rig.breakStream();
    await eventually(() => rig.sent.assignments.length === 2, 10_000);
    assert.equal(rig.sent.assignments[1]?.mayBeDispatched, true);
    assert.deepEqual(rig.agentSets, [[undefined, set], [set]]);
    rig.breakStream(); // by a scheduler that had named none
    await eventually(() => rig.sent.assignments.length === 3, 10_000);
    assert.deepEqual(rig.agentSets[2], [undefined]);
    rig.sendAgents({ ...set, isComplete: false });
    await eventually(() => rig.agentSets[2]?.length === 2);
    rig.report({ eventId: id, attempt: 1, report: { $case: 'revoked', value: {} } });
    await eventually(() => rig.sent.assignments.length === 4);
    assert.equal(rig.sent.assignments[3]?.mayBeDispatched, false, 'it is certain that no agent has it');
    rig.breakStream();
    await eventually(() => rig.sent.assignments.length === 5, 10_000);
    assert.deepEqual(rig.agentSets[3], [undefined], 'those were not all');
  });

  it('pauses a throttled lane as long as the report says, others not, and counts no attempt', async () => {
    const clock = fakeClock();
    const rig = start({ clock });
    const slow = await rig.accept({ fn: 'slow' });
    const assignment = await assignmentOf(rig, slow);
    rig.report({ eventId: slow, attempt: 1, report: { $case: 'throttled', value: { statusCode: 432, retryAfter: durationOfMs(5_000) } } });
    const other = await rig.accept({ fn: 'other' });
    await assignmentOf(rig, other);
    clock.advance(4_000);
    const third = await rig.accept({ fn: 'other' });
    await assignmentOf(rig, third);
    assert.equal(rig.assigned().filter((id) => id === slow).length, 1);
    clock.advance(1_001);
    await eventually(() => rig.assigned().filter((id) => id === slow).length === 2);
    assert.equal(assignment.attempt, 1);
    assert.equal(rig.sent.assignments.at(-1)?.attempt, 1, 'the same attempt');
  });

  it('dispatches what came back before what came later, in the order it had', async () => {
    const clock = fakeClock();
    const rig = start({ clock });
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) {
      ids.push(await rig.accept({ fn: 'slow' }));
      await assignmentOf(rig, ids[i] ?? '');
    }
    const value = { statusCode: 432, retryAfter: durationOfMs(2_000) };
    const back = [...ids].reverse().map((eventId): AttemptReport => ({ eventId, attempt: 1, report: { $case: 'throttled', value } }));
    rig.report(...back);
    ids.push(await rig.accept({ fn: 'slow' }));
    const before = rig.assigned().length;
    clock.advance(2_001);
    await eventually(() => rig.assigned().length === before + 4);
    assert.deepEqual(rig.assigned().slice(before), ids);
  });

  it('holds back what is delayed, and what waits for a retry', async () => {
    const clock = fakeClock();
    const rig = start({ clock });
    const late = await rig.accept({ delayMs: 60_000 });
    const now = await rig.accept({ policy: { maxRetries: 1, retryIntervalMs: 30_000 } });
    const first = await assignmentOf(rig, now);
    assert.deepEqual(rig.assigned(), [now]);
    rig.report(startedReport(first), endedReport(first, 'threw'));
    await eventually(() => rig.changes(now).includes('attemptEnded'));
    clock.advance(29_000);
    await rig.accept().then((id) => assignmentOf(rig, id));
    assert.equal(rig.assigned().length, 2);
    clock.advance(1_001);
    assert.equal((await assignmentOf(rig, now, 2)).attempt, 2);
    clock.advance(30_000);
    await assignmentOf(rig, late);
  });

  it('expires what has waited too long, wherever it waits', async () => {
    const clock = fakeClock();
    const rig = start({ clock });
    const policy = { maxEventAgeMs: 60_000 };
    const sent = await rig.accept({ policy });
    await assignmentOf(rig, sent);
    const delayed = await rig.accept({ policy, delayMs: 59_000 });
    clock.advance(60_001);
    await eventually(() => rig.sent.stops.some(({ eventId, mode }) => eventId === sent && mode === Mode.UNSPECIFIED), 5_000);
    assert.equal(rig.event(sent)?.state, State.QUEUED, 'it may have started: it is asked back first');
    rig.report({ eventId: sent, attempt: 1, report: { $case: 'revoked', value: {} } });
    await reaches(rig, sent, State.EXPIRED);
    await reaches(rig, delayed, State.EXPIRED);
    assert.deepEqual(rig.assigned(), [sent]);
  });

  it('refuses what does not fit into a lane, and takes more when some have started', async () => {
    const rig = start({ laneLimit: 2 });
    const [first] = [await rig.accept(), await rig.accept()];
    await eventually(() => rig.assigned().length === 2);
    assert.equal(await reasonOf(rig.accept()), 'LANE_FULL');
    await rig.accept({ fn: 'other' });
    rig.report(startedReport(await assignmentOf(rig, first)));
    await reaches(rig, first, State.RUNNING);
    await rig.accept();
  });
});

describe('terminating', () => {
  it('ends what waits at once, and it is never sent', async () => {
    const clock = fakeClock();
    const rig = start({ clock });
    const id = await rig.accept({ delayMs: 1_000 });
    await eventually(async () => (await reasonOf(rig.terminate(id, { mode: Mode.GRACEFUL }))) === 'none');
    assert.equal(rig.event(id)?.state, State.TERMINATED);
    assert.equal(rig.event(id)?.termination?.outcome, StopOutcome.NEVER_STARTED);
    clock.advance(2_000);
    await rig.accept().then((other) => assignmentOf(rig, other));
    assert.ok(!rig.assigned().includes(id));
    assert.equal(await reasonOf(rig.terminate(id)), 'EVENT_ENDED');
    assert.equal(await reasonOf(rig.terminate('01990000-0000-7000-8000-00000000dead')), 'EVENT_NOT_FOUND');
  });

  it('asks back what was sent, and ends it when it comes', async () => {
    const rig = start();
    const id = await rig.accept();
    await assignmentOf(rig, id);
    const ending = rig.terminate(id);
    await eventually(() => rig.sent.stops.some((stop) => stop.eventId === id && stop.mode === Mode.FORCE));
    assert.equal(rig.event(id)?.state, State.QUEUED);
    rig.report({ eventId: id, attempt: 1, report: { $case: 'revoked', value: {} } });
    await ending;
    assert.deepEqual([rig.event(id)?.state, rig.event(id)?.attempts.length], [State.TERMINATED, 0]);
  });

  it('answers when the signal is known, the second time at once, and with wait=ENDED at the end', async () => {
    const rig = start();
    const id = await rig.accept();
    const assignment = await assignmentOf(rig, id);
    rig.report(startedReport(assignment));
    await reaches(rig, id, State.RUNNING);
    let answered = false;
    const first = rig.terminate(id, { mode: Mode.GRACEFUL }).then(() => (answered = true));
    await eventually(() => rig.sent.stops.length === 1);
    assert.equal(rig.changes(id).at(-1), 'terminationRequested', 'the intent is in the log before a stop is sent');
    assert.equal(answered, false);
    rig.report({ eventId: id, attempt: 1, report: { $case: 'signalSent', value: signalSent(Date.now()) } });
    await first;
    await rig.terminate(id, { mode: Mode.GRACEFUL });
    assert.equal(rig.event(id)?.state, State.TERMINATING);
    const atEnd = rig.terminate(id, { mode: Mode.GRACEFUL, wait: Wait.ENDED });
    await eventually(() => rig.sent.stops.length === 3);
    rig.report(endedReport(assignment, 'returned_after_signal'));
    await atEnd;
    assert.deepEqual([rig.event(id)?.state, rig.event(id)?.statusCode], [State.TERMINATED, 200]);
  });

  it('lets what happened before the signal win', async () => {
    const rig = start();
    const id = await rig.accept();
    const assignment = await assignmentOf(rig, id);
    rig.report(startedReport(assignment));
    await reaches(rig, id, State.RUNNING);
    const ending = rig.terminate(id, { mode: Mode.GRACEFUL });
    await eventually(() => rig.sent.stops.length === 1);
    rig.report(endedReport(assignment, 'ended_before_signal'));
    await ending;
    assert.deepEqual([rig.event(id)?.state, rig.event(id)?.termination?.outcome], [State.SUCCEEDED, StopOutcome.ENDED_BEFORE_SIGNAL]);
  });

  it('says the stop again when the stream was broken', async () => {
    const rig = start();
    const id = await rig.accept();
    rig.report(startedReport(await assignmentOf(rig, id)));
    await reaches(rig, id, State.RUNNING);
    const ending = rig.terminate(id);
    await eventually(() => rig.sent.stops.length === 1);
    rig.breakStream();
    await eventually(() => rig.sent.stops.length === 2, 10_000);
    rig.report(endedReport(await assignmentOf(rig, id), 'killed'));
    await ending;
    assert.equal(rig.event(id)?.state, State.TERMINATED);
  });
});

describe('taking partitions over', () => {
  /** A queue that is killed: nothing of it goes on, its log does. */
  const killed = async (viewFailures: number, before: (rig: Rig) => Promise<void>): Promise<Rig> => {
    const first = startRig();
    await before(first);
    const records = Array.from({ length: first.log.partitionCount }, (_, partition) => [...first.log.records(partition)]);
    void first.stop();
    const log = memoryLog();
    for (const [partition, kept] of records.entries()) if (kept.length > 0) await log.append(partition, kept);
    return start({ log, viewFailures });
  };

  for (const viewFailures of [0, 2]) {
    it(`goes on with every open event, once the view can be read: after ${viewFailures} failures`, async () => {
      let waiting = '';
      let running = '';
      let over = '';
      const second = await killed(viewFailures, async (rig) => {
        over = await rig.accept();
        const done = await assignmentOf(rig, over);
        rig.report(startedReport(done), endedReport(done, 'returned'));
        await reaches(rig, over, State.SUCCEEDED);
        running = await rig.accept();
        rig.report(startedReport(await assignmentOf(rig, running)));
        await reaches(rig, running, State.RUNNING);
        waiting = await rig.accept();
      });
      await eventually(() => second.assigned().length === 2);
      const [still, fresh] = [await assignmentOf(second, running), await assignmentOf(second, waiting)];
      assert.deepEqual([still.runningOnAgentId, fresh.runningOnAgentId], ['a', '']);
      second.report(endedReport(still, 'lost'));
      const retried = await assignmentOf(second, running, 2);
      second.report(startedReport(retried), endedReport(retried, 'returned'), startedReport(fresh), endedReport(fresh, 'returned'));
      assert.equal((await reaches(second, running, State.SUCCEEDED)).attempts.length, 2);
      await reaches(second, waiting, State.SUCCEEDED);
      assert.ok(!second.assigned().includes(over), 'what had ended is not run again');
    });
  }

  it('carries a termination out that was on its way, of a running event and of one that was being sent', async () => {
    let running = '';
    let sentOff = '';
    const second = await killed(0, async (rig) => {
      running = await rig.accept();
      rig.report(startedReport(await assignmentOf(rig, running)));
      await reaches(rig, running, State.RUNNING);
      sentOff = await rig.accept();
      await assignmentOf(rig, sentOff);
      void rig.terminate(running).catch(() => undefined);
      void rig.terminate(sentOff).catch(() => undefined);
      await eventually(() => rig.sent.stops.length === 2);
    });
    await eventually(() => second.sent.stops.some(({ eventId }) => eventId === running));
    await eventually(() => second.sent.stops.some(({ eventId }) => eventId === sentOff));
    second.report({ eventId: sentOff, attempt: 1, report: { $case: 'revoked', value: {} } });
    await reaches(second, sentOff, State.TERMINATED);
    second.report(endedReport(await assignmentOf(second, running), 'killed'));
    await reaches(second, running, State.TERMINATED);
    assert.equal(second.event(sentOff)?.attempts.length, 0);
  });

  for (const viewFailures of [0, 2]) {
    it(`does not run a keyed event again that has ended, after ${viewFailures} failures of the view`, async () => {
      const id = '00000000-0000-8000-8000-000000000001';
      const second = await killed(viewFailures, async (rig) => {
        await rig.accept({ id, keyed: true });
        const done = await assignmentOf(rig, id);
        rig.report(startedReport(done), endedReport(done, 'returned'));
        await reaches(rig, id, State.SUCCEEDED);
        const again = acceptedOf({ keyed: true });
        const record = {
          eventId: id,
          attempt: 0,
          time: new Date(),
          writerId: 'other',
          change: { $case: 'accepted' as const, value: again },
        };
        await rig.log.append(partitionOf(rig.log), [record]);
      });
      const marker = await second.accept();
      await assignmentOf(second, marker);
      await second.accept({ id, keyed: true });
      const last = await second.accept();
      await assignmentOf(second, last);
      assert.deepEqual(second.assigned(), [marker, last]);
    });
  }
});
