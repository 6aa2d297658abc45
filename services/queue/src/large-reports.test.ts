import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AttemptResult, type Assignment, type AttemptReport } from '@evenfall/contracts/attempt/v1/attempt';
import { EventRecord } from '@evenfall/contracts/log/v1/record';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { isFinal, LIMITS } from '@evenfall/event-model';
import { eventually } from '@evenfall/testkit';
import { hostileEnd } from '../../../libs/event-model/src/testing/hostile.ts';
import { memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { type Rig, startedReport, startRig } from './testing/rig.ts';

function endedReport({ eventId, attempt, partition }: Assignment, value: AttemptResult): AttemptReport {
  return { eventId, attempt, partition, report: { $case: 'ended', value } };
}

const returned = (bytes: number): AttemptResult =>
  AttemptResult.create({ outcome: 1, statusCode: 200, result: Buffer.alloc(bytes, '1'), endTime: new Date() });
const threw = (bytes: number): AttemptResult =>
  AttemptResult.create({
    outcome: 2,
    statusCode: 430,
    error: Buffer.from(JSON.stringify({ errorCode: -1, errorMessage: 'x'.repeat(bytes), stackTrace: 'y'.repeat(40_000), statusCode: 430 })),
    endTime: new Date(),
  });

/** Accepts events of one function, and answers their assignments. */
async function assigned(rig: Rig, count: number, maxRetries = 0): Promise<Assignment[]> {
  const ids = await Promise.all(Array.from({ length: count }, () => rig.accept({ policy: { maxRetries } })));
  await eventually(() => ids.every((id) => rig.sent.assignments.some(({ eventId }) => eventId === id)));
  return rig.sent.assignments.filter(({ eventId }) => ids.includes(eventId));
}
const state = (rig: Rig, { eventId }: Assignment): State | undefined => rig.event(eventId)?.state;

describe('what agents report', () => {
  it('is recorded: 64 results of 250 KB at the same moment, and an error of 9 MB beside them', async () => {
    const rig = startRig();
    const all = await assigned(rig, 65);
    rig.report(...all.map(startedReport), ...all.map((one, i) => endedReport(one, i === 64 ? threw(9_000_000) : returned(250_000))));
    await eventually(() => all.every((one) => isFinal(state(rig, one) ?? 0)));
    assert.deepEqual(
      all.map((one) => state(rig, one)),
      all.map((_, i) => (i === 64 ? State.FAILED : State.SUCCEEDED)),
    );
    await eventually(() => rig.sent.acks.length === 65, 5_000);
    const error = JSON.parse(String(rig.event(all[64]?.eventId ?? '')?.error)) as { errorMessage: string }; // an error's JSON
    assert.match(error.errorMessage, /^x+… \[cut from 9000000 bytes\]$/);
    await rig.stop();
  });

  it('is replaced where the log refuses it for good; its event ends as it would have, and its neighbours go on', async () => {
    const log = memoryLog();
    const rig = startRig({ log });
    log.refuse(({ change }) => change?.$case === 'attemptEnded' && String(change.value.attemptResult?.result).includes('poison'));
    const all = await assigned(rig, 40);
    const poison = { ...returned(1), result: Buffer.from('"poison"') };
    rig.report(...all.map((one, i) => endedReport(one, i === 17 ? poison : returned(2))));
    await eventually(() => all.every((one) => state(rig, one) === State.SUCCEEDED));
    const event = rig.event(all[17]?.eventId ?? '');
    assert.match(String(event?.result), /^"\[not recorded: it is played so\]"$/);
    assert.deepEqual([event?.resultTruncated, event?.statusCode, rig.queue.faults()], [true, 200, []]);
    await rig.stop();
  });

  it('is tried again where the log may store it later', async () => {
    const rig = startRig();
    const [one] = await assigned(rig, 1);
    assert.ok(one);
    rig.log.failNext(3);
    rig.report(endedReport(one, returned(10)));
    await eventually(() => state(rig, one) === State.SUCCEEDED, 5_000);
    await rig.stop();
  });

  it('ends or retries every event, whatever it is, and every record is within the limits', async () => {
    const rig = startRig();
    await fc.assert(
      fc.asyncProperty(fc.array(hostileEnd, { minLength: 1, maxLength: 20 }), async (ends) => {
        const all = await assigned(rig, ends.length);
        rig.report(...all.map((one, i) => endedReport(one, ends[i] as AttemptResult))); // one for each
        await eventually(() => all.every((one) => rig.changes(one.eventId).includes('attemptEnded')), 5_000);
      }),
      { numRuns: 15 },
    );
    for (let partition = 0; partition < rig.log.partitionCount; partition++) {
      for (const record of rig.log.records(partition)) {
        const { length } = EventRecord.encode(record).finish();
        assert.ok(length < LIMITS.resultBytes + LIMITS.errorBytes + 300_000, `${length} bytes`);
      }
    }
    await rig.stop();
  });
});

describe('what is sent to the scheduler', () => {
  it('is cut by bytes, and all of it arrives', async () => {
    const rig = startRig();
    const ids: string[] = [];
    for (let i = 0; i < 12; i++) ids.push(await rig.accept({ fn: `f${i}`, payloadBytes: 900_000 }));
    await eventually(() => ids.every((id) => rig.assigned().includes(id)));
    await rig.stop();
  });
});
