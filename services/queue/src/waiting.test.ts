import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { eventually } from '@evenfall/testkit';
import { durationOfMs, type FakeClock, fakeClock } from '@evenfall/time';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { type MemoryLog, memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { type Rig, startedReport, startRig } from './testing/rig.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const SHORT = { policy: { maxEventAgeMs: MINUTE } };
/** Larger than a lane keeps twenty of in memory. */
const LARGE = 1024 * 1024;

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

function start(log: MemoryLog = memoryLog(1), clock: FakeClock = fakeClock()): { rig: Rig; clock: FakeClock; log: MemoryLog } {
  const rig = startRig({ log, clock });
  rigs.push(rig);
  return { rig, clock, log };
}

const isSent = (rig: Rig, id: string): boolean => rig.assigned().includes(id);
const stateOf = (rig: Rig, id: string): State | undefined => rig.event(id)?.state;
const sent = (rig: Rig, id: string) => eventually(() => rig.sent.assignments.find(({ eventId }) => eventId === id));

/** Has the function of the rig's events rest for an hour: one event is sent back. Answers its id. */
async function pause(rig: Rig): Promise<string> {
  const first = await rig.accept();
  const { partition } = await sent(rig, first);
  const value = { statusCode: 432, retryAfter: durationOfMs(HOUR) };
  rig.report({ eventId: first, attempt: 1, partition, report: { $case: 'throttled', value } });
  await seen(rig);
  return first;
}

/** Waits until everything before was applied: another function's event is dispatched after it. */
async function seen(rig: Rig): Promise<void> {
  await sent(rig, await rig.accept({ fn: 'other' }));
}

describe('the age of an event', () => {
  it('ends it wherever it is in its lane, and no other', async () => {
    const { rig, clock } = start();
    const first = await pause(rig);
    const [long, short, also] = [await rig.accept(), await rig.accept(SHORT), await rig.accept()];
    clock.advance(MINUTE - 1);
    await seen(rig);
    assert.equal(stateOf(rig, short), State.QUEUED);
    clock.advance(1_001);
    await eventually(() => stateOf(rig, short) === State.EXPIRED);
    for (const id of [first, long, also]) assert.equal(stateOf(rig, id), State.QUEUED);
  });

  it('ends one that was sent and has not started, behind one that may wait longer', async () => {
    const { rig, clock } = start();
    const [long, short] = [await rig.accept(), await rig.accept(SHORT)];
    await sent(rig, long);
    const assignment = await sent(rig, short);
    clock.advance(MINUTE + 1_000);
    const stop = await eventually(() => rig.sent.stops[0]);
    assert.deepEqual([stop.eventId, stop.mode], [short, Mode.UNSPECIFIED]);
    rig.report({ eventId: short, attempt: 1, partition: assignment.partition, report: { $case: 'revoked', value: {} } });
    await eventually(() => stateOf(rig, short) === State.EXPIRED);
    assert.ok(rig.sent.stops.every(({ eventId }) => eventId === short));
  });

  it('ends one that is tried again, behind newer ones', async () => {
    const { rig, clock } = start();
    const id = await rig.accept({ policy: { maxEventAgeMs: 2 * MINUTE, maxRetries: 1, retryIntervalMs: MINUTE } });
    const assignment = await sent(rig, id);
    rig.report(startedReport(assignment), {
      eventId: id,
      attempt: 1,
      partition: assignment.partition,
      report: { $case: 'ended', value: endedAs('threw', clock.now()) },
    });
    await eventually(() => rig.event(id)?.nextAttemptTime);
    await pause(rig);
    await rig.accept();
    clock.advance(MINUTE + 1);
    await seen(rig);
    clock.advance(MINUTE + 1_000);
    await eventually(() => stateOf(rig, id) === State.EXPIRED);
  });

  it('ends one that has no room in memory, before it is its turn', async () => {
    const { rig, clock } = start();
    await pause(rig);
    const many: string[] = [];
    for (let i = 0; i < 20; i++) many.push(await rig.accept({ payloadBytes: LARGE }));
    const short = await rig.accept({ ...SHORT, payloadBytes: LARGE });
    await rig.accept({ payloadBytes: LARGE });
    await seen(rig);
    clock.advance(MINUTE + 1_000);
    await eventually(() => {
      clock.advance(1_000); // a round
      return stateOf(rig, short) === State.EXPIRED;
    });
    for (const id of many) assert.equal(stateOf(rig, id), State.QUEUED);
  });
});

for (const step of [-10 * MINUTE, 10 * MINUTE, -24 * HOUR, 24 * HOUR])
  describe(`a wall clock that is set by ${step / MINUTE} minutes`, () => {
    it('does not change when a delay is over', async () => {
      const { rig, clock } = start();
      const id = await rig.accept({ delayMs: 5_000 });
      await seen(rig);
      clock.step(step);
      clock.advance(4_999);
      await seen(rig);
      assert.ok(!isSent(rig, id));
      clock.advance(1);
      await sent(rig, id);
    });

    it('does not change when a retry is due', async () => {
      const { rig, clock } = start();
      const id = await rig.accept({ policy: { maxRetries: 1, retryIntervalMs: MINUTE } });
      const assignment = await sent(rig, id);
      const value = endedAs('threw', clock.now());
      rig.report(startedReport(assignment), {
        eventId: id,
        attempt: 1,
        partition: assignment.partition,
        report: { $case: 'ended', value },
      });
      await eventually(() => rig.event(id)?.nextAttemptTime);
      await seen(rig);
      clock.step(step);
      clock.advance(MINUTE - 1);
      await seen(rig);
      assert.equal(rig.assigned().filter((one) => one === id).length, 1);
      clock.advance(1);
      await eventually(() => rig.assigned().filter((one) => one === id).length === 2);
    });

    it('does not change when an event is too old, nor whether it is tried again', async () => {
      const { rig, clock } = start();
      await pause(rig);
      const id = await rig.accept(SHORT);
      await seen(rig);
      clock.step(step);
      clock.advance(MINUTE - 1);
      await seen(rig);
      assert.equal(stateOf(rig, id), State.QUEUED);
      clock.advance(1_001);
      await eventually(() => stateOf(rig, id) === State.EXPIRED);
    });

    it('does not change how long a function rests', async () => {
      const { rig, clock } = start();
      const first = await pause(rig);
      clock.step(step);
      clock.advance(HOUR - 1);
      await seen(rig);
      assert.equal(rig.assigned().filter((one) => one === first).length, 1);
      clock.advance(1);
      await eventually(() => rig.assigned().filter((one) => one === first).length === 2);
    });

    it('lets nothing wait longer with the next owner than it would have from its beginning', async () => {
      const { rig, clock, log } = start();
      const id = await rig.accept({ delayMs: MINUTE });
      await seen(rig);
      await rig.stop();
      rigs.pop();
      clock.step(step);
      const next = start(log, clock).rig;
      await seen(next);
      clock.advance(MINUTE);
      await sent(next, id).catch(() => assert.equal(stateOf(next, id), State.EXPIRED));
      assert.ok(isSent(next, id) || step >= 6 * HOUR, 'only a clock that was set ahead while nothing ran takes it for too old');
    });
  });
