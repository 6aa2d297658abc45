// Waiting across owners is measured by the log's own clock: the wall clock of the queue may be set to anything between two of them.
import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import fc from 'fast-check';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { Delivery_State as DeliveryState, Event_State as State } from '@evenfall/contracts/v1/event';
import { eventually } from '@evenfall/testkit';
import { durationOfMs, type FakeClock, fakeClock } from '@evenfall/time';
import { endedAs } from '../../../libs/event-model/src/testing/life.ts';
import { type MemoryLog, memoryLog } from '../../../libs/event-log/src/testing/memory-log.ts';
import { waitingOfKnown, waitsSince } from './domain/waiting.ts';
import type { WebhookSender } from './ports.ts';
import { type AcceptOptions, type Rig, startedReport, startRig } from './testing/rig.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const STEPS = [-400 * HOUR, -HOUR, -1, 0, 1, HOUR, 400 * HOUR];

describe('what an event has waited before a tenure', () => {
  const ms = (max: number) => fc.integer({ min: 0, max });
  const given = fc.record({
    logMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    wallMs: fc.integer({ min: 0, max: 4_000_000_000_000 }),
    begunMs: ms(1e9),
    sinceMs: ms(1e9),
    passedMs: fc.integer({ min: -1e9, max: 1e9 }),
    retryMs: ms(1e8),
    waitMs: ms(1e8),
  });

  it('is the difference of two times of the log and no less than nothing, and goes on by the monotonic clock', () => {
    fc.assert(
      fc.property(given, ({ logMs, wallMs, begunMs, sinceMs, passedMs, retryMs, waitMs }) => {
        const clock = { now: () => wallMs, monotonic: () => begunMs + sinceMs };
        const begun = { begunMs, begunLogMs: logMs };
        const folded = FoldedEvent.fromPartial({
          acceptLogTime: new Date(logMs - passedMs),
          waitLogTime: new Date(logMs - passedMs + retryMs),
          waitMs,
          policy: { maxEventAgeMs: 1 },
          event: { createTime: new Date(wallMs), nextAttemptTime: new Date(wallMs) },
        });
        const { acceptedMs, dueMs } = waitingOfKnown(folded, clock, begun);
        assert.equal(clock.monotonic() - acceptedMs, sinceMs + Math.max(0, passedMs));
        assert.equal(dueMs - clock.monotonic(), waitMs - sinceMs - Math.max(0, passedMs - retryMs));
        const pendingMs = clock.monotonic() - (waitsSince(folded, clock, begun) ?? NaN);
        assert.equal(pendingMs, Math.max(0, sinceMs + passedMs - retryMs));
      }),
    );
  });

  it('is measured by the wall clock, and bounded, where the log has no times: before an upgrade, or of either time', () => {
    fc.assert(
      fc.property(given, fc.constantFrom('NO_OWNER', 'NO_RECORD', 'NO_BEGUN'), ({ logMs, wallMs, begunMs, waitMs, passedMs }, which) => {
        const clock = { now: () => wallMs, monotonic: () => begunMs };
        const folded = FoldedEvent.fromPartial({
          ...(which === 'NO_RECORD' ? {} : { acceptLogTime: new Date(logMs), waitLogTime: new Date(logMs) }),
          policy: { maxEventAgeMs: 2 * HOUR },
          event: { createTime: new Date(wallMs - passedMs), nextAttemptTime: new Date(wallMs - passedMs + waitMs) },
        });
        const begun = which === 'NO_BEGUN' ? undefined : { begunMs, begunLogMs: which === 'NO_OWNER' ? undefined : logMs };
        const { acceptedMs, dueMs } = waitingOfKnown(folded, clock, begun);
        assert.equal(begunMs - acceptedMs, Math.min(Math.max(0, passedMs), 2 * HOUR));
        assert.ok(dueMs >= begunMs && dueMs <= begunMs + waitMs);
        assert.equal(waitsSince(folded, clock, begun), undefined);
      }),
    );
  });
});

const rigs: Rig[] = [];
afterEach(async () => {
  for (const rig of rigs.splice(0)) await rig.stop();
});

/** A log with a clock of its own, and owners one after the other, each with clocks that have nothing to do with it. */
function world(more: { readonly webhooks?: WebhookSender } = {}) {
  let logMs = Date.UTC(2031, 0, 1);
  const log: MemoryLog = memoryLog(1, () => logMs);
  let owner: { rig: Rig; clock: FakeClock } | undefined;
  const here = () => owner as { rig: Rig; clock: FakeClock }; // there is one after `own`
  return {
    log,
    rig: () => here().rig,
    own(wallMs: number): void {
      const clock = fakeClock(wallMs);
      const rig = startRig({ log, clock, ...more });
      rigs.push(rig);
      owner = { rig, clock };
    },
    async leave(): Promise<void> {
      await rigs.pop()?.stop();
    },
    /** Time passes, for all owners. */
    pass(ms: number): void {
      logMs += ms;
      here().clock.advance(ms);
    },
    stepLog: (ms: number) => (logMs += ms),
    stepWall: (ms: number) => here().clock.step(ms),
  };
}
type World = ReturnType<typeof world>;

const sent = (rig: Rig, id: string, attempt = 1) =>
  eventually(() => rig.sent.assignments.find((one) => one.eventId === id && one.attempt === attempt));
const isSent = (rig: Rig, id: string, attempt = 1): boolean =>
  rig.sent.assignments.some((one) => one.eventId === id && one.attempt === attempt);
/** Waits until everything before was applied: another function's event is dispatched after it. */
const seen = async (rig: Rig) => sent(rig, await rig.accept({ fn: 'other' }));
const START = Date.UTC(2026, 0, 1);

/** One owner has an event for a while, none for another while, then the next one, whose wall clock differs. */
async function moves(at: World, { firstMs, awayMs, step }: { firstMs: number; awayMs: number; step: number }): Promise<Rig> {
  await seen(at.rig());
  at.stepWall(-step);
  at.pass(firstMs);
  await at.leave();
  at.pass(awayMs);
  at.own(START + step);
  await seen(at.rig());
  return at.rig();
}

for (const step of STEPS)
  describe(`a wall clock that differs by ${step} ms for the next owner`, () => {
    const parts = { firstMs: 20_000, awayMs: 10_000, step };

    it('does not change when a delay is over', async () => {
      const at = world();
      at.own(START);
      const id = await at.rig().accept({ delayMs: MINUTE });
      const rig = await moves(at, parts);
      at.pass(MINUTE - 30_001);
      await seen(rig);
      assert.ok(!isSent(rig, id));
      at.pass(1);
      await sent(rig, id);
    });

    it('does not change when a retry is due', async () => {
      const at = world();
      at.own(START);
      const id = await at.rig().accept({ policy: { maxRetries: 1, retryIntervalMs: MINUTE } });
      const assignment = await sent(at.rig(), id);
      at.pass(5_000);
      const ended = { $case: 'ended' as const, value: endedAs('threw', START) };
      at.rig().report(startedReport(assignment), { ...assignment, report: ended });
      await eventually(() => at.rig().event(id)?.nextAttemptTime);
      const rig = await moves(at, parts);
      at.pass(MINUTE - 30_001);
      await seen(rig);
      assert.ok(!isSent(rig, id, 2));
      at.pass(1);
      await sent(rig, id, 2);
    });

    it('does not change whether an event is too old', async () => {
      for (const [maxEventAgeMs, state] of [
        [30_001, State.QUEUED],
        [30_000, State.EXPIRED],
      ] as const) {
        const at = world();
        at.own(START);
        const first = await at.rig().accept();
        const { partition } = await sent(at.rig(), first);
        const value = { statusCode: 432, retryAfter: durationOfMs(HOUR) };
        at.rig().report({ eventId: first, attempt: 1, partition, report: { $case: 'throttled', value } });
        const id = await at.rig().accept({ policy: { maxEventAgeMs } });
        const rig = await moves(at, parts);
        if (state === State.QUEUED) await sent(rig, id);
        else await eventually(() => rig.event(id)?.state === state);
        assert.equal(isSent(rig, id), state === State.QUEUED);
      }
    });

    it('does not change how long a destination is tried', async () => {
      for (const [awayMs, state] of [
        [4 * HOUR, DeliveryState.PENDING],
        [7 * HOUR, DeliveryState.FAILED],
      ] as const) {
        let requests = 0;
        const webhooks: WebhookSender = {
          async send() {
            requests++;
            return { kind: 'ANSWERED', status: 503, retryAfter: undefined, text: '' };
          },
        };
        const at = world({ webhooks });
        at.own(START);
        const target = { $case: 'webhook' as const, value: { url: 'http://127.0.0.1:9/', secret: 's'.repeat(32), secretSet: false } };
        const id = await at.rig().accept({ policy: { onSuccess: { target } } });
        const assignment = await sent(at.rig(), id);
        at.rig().report({ ...assignment, report: { $case: 'ended', value: endedAs('returned', START) } });
        await eventually(() => at.rig().changes(id).includes('deliveryAttempted'));
        const before = requests;
        const rig = await moves(at, { ...parts, awayMs });
        await eventually(() => requests > before);
        await eventually(() => rig.changes(id).filter((change) => change === 'deliveryAttempted').length === 2);
        assert.equal(rig.event(id)?.deliveries[0]?.state, state);
      }
    });

    it('does not change when a parked event is too old', async () => {
      const at = world();
      at.own(START);
      const large: AcceptOptions = { payloadBytes: 1024 * 1024 };
      for (let i = 0; i < 300; i++) await at.rig().accept({ delayMs: 0, payloadBytes: 100 * 1024 });
      const id = await at.rig().accept({ ...large, policy: { maxEventAgeMs: MINUTE } });
      const rig = await moves(at, parts);
      assert.ok(!isSent(rig, id), 'it has no room on its way');
      at.pass(MINUTE - 30_001);
      await seen(rig);
      assert.equal(rig.event(id)?.state, State.QUEUED);
      at.pass(1);
      await eventually(() => {
        at.pass(1_000); // a round
        return rig.event(id)?.state === State.EXPIRED;
      });
    });
  });

it('a log clock that is set back between two owners makes nothing wait longer than from its beginning, and one that is set ahead is taken for time', async () => {
  for (const [stepMs, leftMs] of [
    [-HOUR, MINUTE],
    [HOUR, 0],
  ] as const) {
    const at = world();
    at.own(START);
    const id = await at.rig().accept({ delayMs: MINUTE });
    at.stepLog(stepMs);
    const rig = await moves(at, { firstMs: 0, awayMs: 0, step: 0 });
    if (leftMs > 0) {
      at.pass(leftMs - 1);
      await seen(rig);
      assert.ok(!isSent(rig, id));
      at.pass(1);
    }
    await sent(rig, id);
  }
});
