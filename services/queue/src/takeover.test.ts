import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import type { Assignment } from '@evenfall/contracts/attempt/v1/attempt';
import type { WatchOwnershipResponse } from '@evenfall/contracts/queue/v1/queue_service';
import { Event_State as State } from '@evenfall/contracts/v1/event';
import { Termination_Mode as Mode } from '@evenfall/contracts/v1/termination';
import { isRefusal } from '@evenfall/errors';
import { eventually } from '@evenfall/testkit';
import { durationOfMs } from '@evenfall/time';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { type MemoryLog, memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { partitionOf, type Rig, startedReport, startRig } from './testing/rig.ts';

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});
/** A replica that takes over every partition. */
const takeOver = (log: MemoryLog): Rig => {
  const rig = startRig({ log });
  rigs.push(rig);
  return rig;
};
const assignmentOf = (rig: Rig, id: string, attempt = 1): Promise<Assignment> =>
  eventually(() => rig.sent.assignments.find((one) => one.eventId === id && one.attempt === attempt));
const returned = ({ eventId, attempt, partition }: Assignment) => ({
  eventId,
  attempt,
  partition,
  report: { $case: 'ended' as const, value: endedAs('returned', Date.now()) },
});
const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'none',
    (error: unknown) => (isRefusal(error) ? error.reason : String(error)),
  );
const acked = (rig: Rig, id: string): boolean => rig.sent.acks.some(({ eventId }) => eventId === id);

describe('a partition that moves', () => {
  it('is claimed before anything of it is dispatched, each time with a higher epoch', async () => {
    const log = memoryLog();
    const first = takeOver(log);
    const id = await first.accept();
    const { partition } = await assignmentOf(first, id);
    assert.equal(partition, partitionOf(log));
    const [claim] = first.sent.claims.filter((one) => one.partition === partition);
    const second = takeOver(log);
    assert.equal((await assignmentOf(second, id)).mayBeDispatched, true, 'an agent may have it from the previous owner');
    const [later] = second.sent.claims.filter((one) => one.partition === partition);
    assert.ok(claim && later && later.epoch > claim.epoch, `${claim?.epoch} ${later?.epoch}`);
  });

  it('applies reports of events that wait, which a previous owner had dispatched', async () => {
    const first = takeOver(memoryLog());
    const throttled = await first.accept();
    const value = { statusCode: 432, retryAfter: durationOfMs(1_000) };
    first.report({ ...(await assignmentOf(first, throttled)), report: { $case: 'throttled', value } });
    await eventually(() => first.changes(throttled).length === 1);
    const waits = await first.accept();
    const named = { eventId: waits, attempt: 1, partition: partitionOf(first.log) };
    first.report(startedReport({ ...(await assignmentOf(first, throttled)), ...named }));
    await eventually(() => first.event(waits)?.state === State.RUNNING);
    first.report(returned({ ...(await assignmentOf(first, throttled)), ...named }));
    await eventually(() => first.event(waits)?.state === State.SUCCEEDED);
    await eventually(() => first.assigned().length === 2);
    assert.deepEqual(first.assigned(), [throttled, throttled], 'it runs no more');
    assert.ok(acked(first, waits));
  });

  it('is given up by a replica that reads that another has it', async () => {
    const log = memoryLog();
    const first = takeOver(log);
    const id = await first.accept();
    await assignmentOf(first, id);
    const second = takeOver(log);
    await assignmentOf(second, id);
    await eventually(async () => (await reasonOf(first.terminate(id, { onlyIfHeld: true }))) === 'EVENT_NOT_HELD');
  });

  it('ignores a previous owner that was paused, which acknowledges nothing of what it missed', async () => {
    const log = memoryLog();
    const first = takeOver(log);
    const id = await first.accept();
    const assignment = await assignmentOf(first, id);
    const goOn = log.pauseReaders();
    const second = takeOver(log);
    const again = await assignmentOf(second, id);
    assert.equal(again.attempt, 1, 'no start was recorded');
    // The first does not know yet. What it records comes too late.
    const before = log.records(partitionOf(log)).length;
    first.report(startedReport(assignment), returned(assignment));
    const late = reasonOf(first.terminate(id));
    await eventually(() => log.records(partitionOf(log)).length > before);
    assert.equal(second.event(id)?.state, State.QUEUED, 'its records are fenced');
    goOn();
    assert.ok(['EVENT_NOT_HELD', 'EVENT_ENDED'].includes(await late), await late);
    assert.equal(acked(first, id), false, 'its outcome must be retained for the new owner');
    second.report(startedReport(again), returned(again));
    await eventually(() => acked(second, id));
    assert.equal(second.event(id)?.state, State.SUCCEEDED);
    assert.equal(second.event(id)?.attempts.length, 1);
  });

  it('brings its open events along, and a retry goes on with the next attempt', async () => {
    const log = memoryLog();
    const first = takeOver(log);
    const id = await first.accept({ policy: { maxRetries: 1, retryIntervalMs: 1 } });
    const one = await assignmentOf(first, id);
    first.report(startedReport(one));
    await eventually(() => first.event(id)?.state === State.RUNNING);
    const second = takeOver(log);
    const resumed = await assignmentOf(second, id);
    assert.equal(resumed.runningOnAgentId, 'a', 'it asks what became of it, it does not run it again');
    second.report({ ...returned(resumed), report: { $case: 'ended', value: endedAs('threw', Date.now()) } });
    assert.equal((await assignmentOf(second, id, 2)).attempt, 2);
  });

  it('ignores reports about partitions it does not own, and stops attempts of events that have ended', async () => {
    const rig = takeOver(memoryLog());
    const id = await rig.accept();
    const assignment = await assignmentOf(rig, id);
    const stranger = { ...assignment, eventId: '01990000-0000-7000-8000-00000000dead' };
    rig.report({ ...returned(stranger), partition: 99 });
    rig.report(startedReport(stranger));
    await eventually(() => rig.sent.stops.some(({ eventId, mode }) => eventId === stranger.eventId && mode === Mode.FORCE));
    assert.equal(acked(rig, stranger.eventId), false);
    rig.report(returned(stranger));
    await eventually(() => acked(rig, stranger.eventId));
  });

  it('ends what waits only once the scheduler has confirmed that it was not dispatched', async () => {
    const rig = startRig({ ignoresClaims: true });
    rigs.push(rig);
    const id = await rig.accept({ delayMs: 60_000 });
    await eventually(() => rig.sent.claims.length > 0);
    const ending = rig.terminate(id);
    await eventually(() => rig.changes(id).includes('terminationRequested'));
    assert.equal(rig.event(id)?.state, State.QUEUED, 'a previous owner may have dispatched it');
    rig.confirm();
    await ending;
    assert.equal(rig.event(id)?.state, State.TERMINATED);
  });

  it('is published to watchers of the ownership', async () => {
    const rig = takeOver(memoryLog());
    const controller = new AbortController();
    let newest: WatchOwnershipResponse | undefined;
    const reading = (async () => {
      const context = { signal: controller.signal, header: () => undefined };
      for await (const output of rig.queue.api.watchOwnership({}, context)) newest = output;
    })();
    await eventually(() => newest?.partitions.length === rig.log.partitionCount);
    assert.equal(newest?.partitionCount, rig.log.partitionCount);
    controller.abort();
    await reading;
  });
});
