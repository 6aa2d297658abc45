import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Assignment, AttemptReport, AttemptStarted } from '@evenfall/contracts/attempt/v1/attempt';
import { type Event, Event_State as State } from '@evenfall/contracts/v1/event';
import type { Subscriber } from '@evenfall/event-log';
import { eventually } from '@evenfall/testkit';
import { type ResultName, endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { type MemoryLog, memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { partitionOf, type Rig, startedReport, startRig } from './testing/rig.ts';

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});
const start = (log: MemoryLog = memoryLog()): Rig => {
  const rig = startRig({ log });
  rigs.push(rig);
  return rig;
};
const assignmentOf = (rig: Rig, id: string, attempt = 1): Promise<Assignment> =>
  eventually(() => rig.sent.assignments.find((one) => one.eventId === id && one.attempt === attempt));
const endedReport = ({ eventId, attempt, partition }: Assignment, ending: ResultName, started?: AttemptStarted): AttemptReport => ({
  eventId,
  attempt,
  partition,
  report: { $case: 'ended', value: { ...endedAs(ending, Date.now()), started } },
});
const startOf = (assignment: Assignment): AttemptStarted => {
  const { report } = startedReport(assignment);
  assert.ok(report?.$case === 'started');
  return report.value;
};
const reaches = (rig: Rig, id: string, state: State): Promise<Event> =>
  eventually(() => (rig.event(id)?.state === state ? rig.event(id) : undefined));

/** Everything an event says of the start of its last attempt. */
function shown(event: Event | undefined): Partial<AttemptStarted> {
  const { instanceId, agentId, coldStart, coldStartDetail, startTime, memoryMb } = event?.attempts.at(-1) ?? {};
  return { instanceId, agentId, coldStart, coldStartDetail, startTime, memoryMb } as Partial<AttemptStarted>; // what is there
}

describe('the start of an attempt', () => {
  it('is in the log once, whether its own report was taken, came with the end, or was lost', async () => {
    for (const how of ['taken', 'with the end', 'lost'] as const) {
      const rig = start();
      const id = await rig.accept();
      const assignment = await assignmentOf(rig, id);
      const started = startOf(assignment);
      const begun: AttemptReport = { ...assignment, report: { $case: 'started', value: started } };
      if (how !== 'lost') rig.report(begun);
      if (how === 'taken') await reaches(rig, id, State.RUNNING);
      rig.report(endedReport(assignment, 'returned', started));
      const event = await reaches(rig, id, State.SUCCEEDED);
      assert.deepEqual([shown(event), event.startTime], [started, started.startTime], how);
      const starts = rig.log.records(partitionOf(rig.log)).flatMap(({ change }) => {
        if (change?.$case === 'attemptEnded') return [change.value.started, change.value.attemptResult?.started];
        return change?.$case === 'attemptStarted' ? [change.value] : [];
      });
      assert.deepEqual(starts.filter(Boolean), [started], how);
    }
  });

  it('is known to the next owner of the partition, which receives the end only', async () => {
    const log = memoryLog();
    const first = start(log);
    const id = await first.accept();
    first.report(endedReport(await assignmentOf(first, id), 'lost'));
    const two = await assignmentOf(first, id, 2);
    assert.equal(first.event(id)?.attempts[0]?.startTime, undefined, 'it never began');
    const goOn = log.pauseReaders();
    const second = start(log);
    const again = await assignmentOf(second, id, 2);
    first.report(startedReport(two)); // of a previous owner: it is fenced
    const started = startOf(again);
    second.report(endedReport(again, 'returned', started));
    const event = await reaches(second, id, State.SUCCEEDED);
    goOn();
    assert.deepEqual([event.attempts.length, shown(event)], [2, started]);
  });

  it('is known to an owner that had lost the partition when it was reported', async () => {
    const log = memoryLog();
    let subscriber: Subscriber | undefined;
    const subscribe: MemoryLog['subscribe'] = (one) => log.subscribe((subscriber = one));
    const rig = start(Object.assign(Object.create(log), { subscribe }) as MemoryLog); // the same log, and the test calls its reader
    const id = await rig.accept();
    const assignment = await assignmentOf(rig, id);
    const started = startOf(assignment);
    const partition = partitionOf(log);
    assert.ok(subscriber);
    subscriber.lost([partition]);
    rig.report({ ...assignment, report: { $case: 'started', value: started } });
    await new Promise((resolve) => setImmediate(resolve)); // it is read, and passed over
    await subscriber.owned([partition]); // as after a pause of Kafka: by the same stream
    rig.report(endedReport(assignment, 'returned', started));
    assert.deepEqual(shown(await reaches(rig, id, State.SUCCEEDED)), started);
    const epochs = rig.sent.claims.filter((claim) => claim.partition === partition).map(({ epoch }) => epoch);
    assert.ok(epochs.length === 2 && Number(epochs[1]) > Number(epochs[0]), 'it claims the partition again');
  });
});
