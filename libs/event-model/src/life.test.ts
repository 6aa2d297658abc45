import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import type { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { type Command, evolve, isFinal } from './index.ts';
import { StopReceipt } from '@evenfall/contracts/attempt/v1/attempt';
import { Termination_Cause as Cause } from '@evenfall/contracts/v1/termination';
import { Delivery_State as DeliveryState } from '@evenfall/contracts/v1/event';
import { acceptedRecord, endedAs, RESULT_NAMES, ID, newLife, signalSent, started, START_MS, terminateCommand } from './testing/life.ts';

const attempt = fc.integer({ min: 1, max: 4 });
const command: fc.Arbitrary<{ attempt: number; command: Command }> = fc.oneof(
  attempt.map((n) => ({ attempt: n, command: { kind: 'ATTEMPT_STARTED', attempt: n, started } as const })),
  fc.record({ n: attempt, ending: fc.constantFrom(...RESULT_NAMES) }).map(({ n, ending }) => ({
    attempt: n,
    command: { kind: 'ATTEMPT_ENDED', attempt: n, ended: endedAs(ending, START_MS), random: 0.5 } as const,
  })),
  attempt.map((n) => ({ attempt: n, command: { kind: 'SIGNAL_SENT', attempt: n, sent: signalSent(START_MS) } as const })),
  attempt.map((n) => ({ attempt: n, command: { kind: 'ATTEMPT_REVOKED', attempt: n } as const })),
  fc
    .record({ graceful: fc.boolean(), dispatched: fc.boolean() })
    .map(({ graceful, dispatched }) => ({ attempt: 0, command: terminateCommand(graceful, dispatched) })),
  fc.constant({ attempt: 0, command: { kind: 'EXPIRE' } as const }),
  fc
    .record({ state: fc.constantFrom(DeliveryState.PENDING, DeliveryState.DELIVERED, DeliveryState.FAILED), attemptCount: attempt })
    .map(({ state, attemptCount }) => ({
      attempt: 0,
      command: { kind: 'DELIVERY_ATTEMPTED', attempted: { state, attemptCount, error: '', eventId: '' } } as const,
    })),
);

const DESTINATIONS = {
  onSuccess: { target: { $case: 'topic', value: { name: 'good' } } },
  onFailure: { target: { $case: 'topic', value: { name: 'bad' } } },
} as const;
const policies = fc.constantFrom({}, DESTINATIONS);
const step = fc.record({ command, advanceMs: fc.constantFrom(0, 1, 60_000, 21_600_000) });

test('whatever is said in whatever order: a final state stays, attempts only rise, one runs at a time', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), policies, (steps, policy) => {
      const life = newLife(policy);
      for (const one of steps) {
        const before = life.folded?.event;
        life.nowMs += one.advanceMs;
        life.run(one.command.attempt, one.command.command);
        const after = life.folded?.event;
        assert.ok(before && after);
        if (isFinal(before.state)) assert.deepEqual({ ...after, deliveries: [] }, { ...before, deliveries: [] });
        const [pending, now] = [before.deliveries[0], after.deliveries[0]];
        if (pending && pending.state !== DeliveryState.PENDING) assert.equal(now, pending, 'what became of a delivery changed');
        if (now) assert.ok(isFinal(after.state) && now.attemptCount >= (pending?.attemptCount ?? 0));
        assert.equal(
          life.folded !== undefined && life.folded.payload.length > 0,
          !isFinal(after.state) || now?.state === DeliveryState.PENDING,
          'kept for as long as needed',
        );
        assert.ok(after.attempts.length >= before.attempts.length);
        assert.deepEqual(
          after.attempts.map((a) => a.number),
          after.attempts.map((_, i) => i + 1),
        );
        assert.ok(
          after.attempts.slice(0, -1).every((a) => a.endTime),
          'an attempt began before the one before it had ended',
        );
      }
    }),
  );
});

test('folding the log again gives the same event, however often each record is said', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.array(fc.nat({ max: 3 }), { minLength: 60, maxLength: 60 }), (steps, repeats) => {
      const life = newLife(DESTINATIONS);
      for (const one of steps) {
        life.nowMs += one.advanceMs;
        life.run(one.command.attempt, one.command.command);
      }
      const once = life.records.reduce<FoldedEvent | undefined>((folded, record) => evolve(folded, record), undefined);
      assert.deepEqual(once, life.folded);
      // Intents and signals may be said by several replicas; starts and ends said again must change nothing.
      const again = life.records.flatMap((record, i) =>
        REPEATABLE.has(record.change?.$case ?? '') ? Array<EventRecord>((repeats[i] ?? 0) + 1).fill(record) : [record],
      );
      assert.deepEqual(
        again.reduce<FoldedEvent | undefined>((folded, record) => evolve(folded, record), undefined),
        life.folded,
      );
    }),
  );
});
const REPEATABLE = new Set(['accepted', 'attemptStarted', 'attemptEnded', 'endedUnstarted', 'deliveryAttempted']);

test('an attempt that began has its start, whether or not the report of the start came, and the log has it once', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const life = newLife();
      const expected = new Map<number, string>();
      for (const { command, advanceMs } of steps) {
        life.nowMs += advanceMs;
        const given = command.command;
        const [output, instanceId] = withStart(given, life.records.length);
        if (life.run(command.attempt, output).length === 0) continue;
        const isNew = (life.folded?.event?.attempts.length ?? 0) > expected.size;
        if (isNew) expected.set(command.attempt, instanceId);
      }
      const attempts = life.folded?.event?.attempts ?? [];
      assert.deepEqual(new Map(attempts.map(({ number, instanceId }) => [number, instanceId])), expected);
      assert.ok(attempts.every(({ startTime }) => startTime));
      if (attempts.length > 0) assert.ok(life.folded?.event?.startTime);
      const starts = life.records.flatMap(({ attempt: number, change }) => {
        if (change?.$case === 'attemptStarted') return [number];
        if (change?.$case !== 'attemptEnded') return [];
        assert.equal(change.value.attemptResult?.started, undefined, 'the record of the end has it beside the end');
        return change.value.started ? [number] : [];
      });
      assert.deepEqual(starts, [...expected.keys()]);
    }),
  );
});
/** Every start and every end names an instance of its own, so that a test can see which one was applied. */
function withStart(command: Command, serial: number): [Command, string] {
  const own = { ...started, instanceId: `i-${serial}` };
  if (command.kind === 'ATTEMPT_STARTED') return [{ ...command, started: own }, own.instanceId];
  if (command.kind === 'ATTEMPT_ENDED') return [{ ...command, ended: { ...command.ended, started: own } }, own.instanceId];
  return [command, ''];
}

test('a stale attempt changes nothing', () => {
  const life = newLife();
  life.run(1, { kind: 'ATTEMPT_STARTED', attempt: 1, started });
  life.run(1, { kind: 'ATTEMPT_ENDED', attempt: 1, ended: endedAs('threw', START_MS), random: 0 });
  const before = life.folded;
  assert.deepEqual(life.run(1, { kind: 'ATTEMPT_ENDED', attempt: 1, ended: endedAs('returned', START_MS), random: 0 }), ['STALE_ATTEMPT']);
  assert.equal(life.folded, before);
});

test('the first accepted record wins', () => {
  const first = evolve(undefined, acceptedRecord());
  assert.equal(evolve(first, acceptedRecord({ maxRetries: 8 })), first);
});

test('there is no state of an event that was not accepted', () => {
  assert.equal(
    evolve(undefined, { eventId: ID, attempt: 1, time: new Date(), writerId: '', change: { $case: 'attemptStarted', value: started } }),
    undefined,
  );
});

test('a stop that no caller requested counts as requested by the agent, before its first signal, however late that is recorded', () => {
  for (const withRequest of [true, false]) {
    const life = newLife();
    life.run(1, { kind: 'ATTEMPT_STARTED', attempt: 1, started });
    const askedMs = life.nowMs;
    life.nowMs += 500;
    life.run(1, { kind: 'SIGNAL_SENT', attempt: 1, sent: { ...signalSent(askedMs + 1), cause: Cause.TIMEOUT } });
    assert.ok((life.folded?.event?.attempts[0]?.stop?.requestTime?.getTime() ?? Infinity) <= askedMs + 1);
    const ended = endedAs('returned_after_signal', life.nowMs);
    const stop = StopReceipt.create({ ...ended.stop, cause: Cause.TIMEOUT, requestTime: withRequest ? new Date(askedMs) : undefined });
    life.run(1, { kind: 'ATTEMPT_ENDED', attempt: 1, ended: { ...ended, stop }, random: 0.5 });
    const seen = life.folded?.event?.attempts[0]?.stop;
    assert.equal(seen?.requestTime?.getTime(), withRequest ? askedMs : askedMs + 1);
    assert.equal(seen?.steps.length, 1);
  }
});

test('times of the log say since when an event waits, whatever the times of its writers were', () => {
  const LOG = Date.UTC(2040, 0, 1);
  const at = (record: EventRecord, afterMs: number): EventRecord => ({ ...record, time: new Date(afterMs) });
  const delayed = acceptedRecord({ maxRetries: 1 });
  if (delayed.change?.$case === 'accepted') delayed.change.value.notBefore = new Date(START_MS + 5_000);
  let folded = evolve(undefined, delayed, LOG);
  assert.deepEqual([folded?.acceptLogTime?.getTime(), folded?.waitLogTime?.getTime(), folded?.waitMs], [LOG, LOG, 5_000]);
  const life = newLife({ maxRetries: 1 });
  life.run(1, { kind: 'ATTEMPT_STARTED', attempt: 1, started });
  life.run(1, { kind: 'ATTEMPT_ENDED', attempt: 1, ended: endedAs('threw', START_MS), random: 0 });
  const [, begun, ended] = life.records as [EventRecord, EventRecord, EventRecord];
  folded = evolve(evolve(folded, begun, LOG + 7_000), ended, LOG + 9_000);
  assert.deepEqual([folded?.acceptLogTime?.getTime(), folded?.waitLogTime?.getTime(), folded?.waitMs], [LOG, LOG + 9_000, 60_000]);
  const final = evolve(folded, at({ ...begun, change: { $case: 'endedUnstarted', value: { state: 6 } } }, START_MS), LOG + 10_000);
  assert.deepEqual([final?.waitLogTime?.getTime(), final?.waitMs], [LOG + 10_000, 0]);
  // Records without a log time remove the log time of an earlier record.
  assert.deepEqual([evolve(evolve(folded, begun), ended)?.waitLogTime?.getTime()], [LOG + 9_000], 'a stale record changes nothing');
  const withoutLogTime = evolve(evolve(evolve(undefined, delayed, LOG), begun), ended);
  assert.deepEqual([withoutLogTime?.acceptLogTime?.getTime(), withoutLogTime?.waitLogTime], [LOG, undefined]);
});

test('a wait is within what its field holds, whatever two times a record has', () => {
  const times = fc.oneof(fc.date({ noInvalidDate: false }), fc.constant(undefined));
  fc.assert(
    fc.property(times, times, (time, notBefore) => {
      const record = acceptedRecord();
      if (record.change?.$case === 'accepted') record.change.value.notBefore = notBefore;
      const { waitMs = -1 } = evolve(undefined, { ...record, time }) ?? {};
      assert.ok(Number.isInteger(waitMs) && waitMs >= 0 && waitMs < 2 ** 31, String(waitMs));
    }),
  );
});
