import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { eventually } from '@evenfall/testkit';
import { durationOfMs, fakeClock } from '@evenfall/time';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { type Rig, startedReport, startRig, waitingByKey } from './testing/rig.ts';

const LARGE = 1024 * 1024;
/** More than a lane keeps in memory (16 MiB of payloads). */
const COUNT = 40;
const PAUSE_MS = 5_000;

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

/** A lane that pauses until `goOn`, with one event that was sent back, and events behind it that have no room. */
async function fullLane(count = COUNT, payloadBytes = LARGE): Promise<{ rig: Rig; ids: string[]; goOn: () => void }> {
  const clock = fakeClock(Date.now());
  const rig = startRig({ log: memoryLog(1), clock });
  rigs.push(rig);
  const first = await rig.accept();
  const sent = await eventually(() => rig.sent.assignments.find(({ eventId }) => eventId === first));
  const value = { statusCode: 432, retryAfter: durationOfMs(PAUSE_MS) };
  rig.report({ eventId: first, attempt: 1, partition: sent.partition, report: { $case: 'throttled', value } });
  await rig.accept({ fn: 'other' }); // its dispatch shows that the report was applied
  await eventually(() => rig.sent.assignments.some((one) => one.function === 'other'));
  const ids = [first];
  for (let i = 0; i < count; i++) ids.push(await rig.accept({ payloadBytes }));
  return { rig, ids, goOn: () => clock.advance(PAUSE_MS) };
}
const assignedOf = (rig: Rig): string[] => rig.sent.assignments.filter((one) => one.function === 'f').map(({ eventId }) => eventId);

describe('a lane that has more than fits into memory', () => {
  it('gives all of it, in the order it was accepted, once', async () => {
    const { rig, ids, goOn } = await fullLane();
    goOn();
    await eventually(() => assignedOf(rig).length === ids.length + 1);
    assert.deepEqual(assignedOf(rig).slice(1), ids);
    const last = rig.sent.assignments.at(-1);
    assert.equal(last?.payload.length, LARGE, 'with its payload');
  });

  it('ends a parked event where it is, and never dispatches it', async () => {
    const { rig, ids, goOn } = await fullLane();
    const parked = ids.at(-3) ?? '';
    await rig.terminate(parked);
    assert.equal(rig.event(parked)?.state, State.TERMINATED);
    goOn();
    await eventually(() => assignedOf(rig).length === ids.length);
    assert.deepEqual(
      assignedOf(rig).slice(1),
      ids.filter((id) => id !== parked),
    );
  });

  it('does not bring an event back that was ended out of its turn, though the view is read late', async () => {
    const { rig, ids, goOn } = await fullLane();
    const parked = ids.at(-3) ?? '';
    // What is fetched from now on is what the view had before the end.
    rig.freezeQueued();
    await rig.terminate(parked);
    goOn();
    await eventually(() => assignedOf(rig).length >= ids.length);
    const behind = await rig.accept(); // the lane is in order: once it is sent, everything before it would have been
    await eventually(() => assignedOf(rig).includes(behind));
    assert.equal(assignedOf(rig).includes(parked), false);
  });

  it('is counted by access key, parked events and all, by the next owner too', async () => {
    const { rig, goOn } = await fullLane(20, LARGE);
    const counts = (of: Rig, expected: object) => eventually(async () => isDeepStrictEqual(await waitingByKey(of), expected));
    for (let n = 0; n < 6; n++) await rig.accept({ payloadBytes: LARGE, accessKeyId: n % 3 === 0 ? 'app' : 'ci' });
    await rig.accept({ delayMs: 60_000, accessKeyId: 'app' });
    await counts(rig, { app: 3, ci: 4 });
    const next = startRig({ log: rig.log });
    rigs.push(next);
    await counts(next, { app: 3, ci: 4 });
    await counts(rig, {}); // it owns nothing any more
    goOn();
    let done = 0;
    await eventually(async () => {
      for (const assignment of next.sent.assignments.slice(done)) {
        const { eventId, attempt, partition } = assignment;
        const report = { $case: 'ended' as const, value: endedAs('returned', Date.now()) };
        next.report(startedReport(assignment), { eventId, attempt, partition, report });
        done++;
      }
      return isDeepStrictEqual(await waitingByKey(next), { app: 1 }); // the delayed one is left
    });
  });

  it('is taken over by the next owner, parked events and all', async () => {
    const { rig, ids } = await fullLane(300, 100 * 1024); // more than may be on its way
    const next = startRig({ log: rig.log });
    rigs.push(next);
    let done = 0;
    await eventually(() => {
      for (const assignment of next.sent.assignments.slice(done)) {
        const { eventId, attempt, partition } = assignment;
        const report = { $case: 'ended' as const, value: endedAs('returned', Date.now()) };
        next.report(startedReport(assignment), { eventId, attempt, partition, report });
        done++;
      }
      return assignedOf(next).length === ids.length;
    });
    assert.deepEqual(assignedOf(next), ids);
    assert.ok(next.readCount() > 0, 'it fetched what it had no room for, as the previous owner had');
    await eventually(() => ids.every((id) => next.event(id)?.state === State.SUCCEEDED));
  });
});
