import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { endedAs, started } from '../../../../libs/event-model/src/testing/life.ts';
import { createOutbox, type OutboxTotals } from './outbox.ts';
import { recordOf } from './record.ts';
import type { QueuedEvent, Outgoing } from './types.ts';

const begins = (id: string, attempt = 1): EventRecord => recordOf(id, attempt, { $case: 'attemptStarted', value: started }, 0, 'w');
const ends = (id: string, attempt = 1): EventRecord => {
  const value = { started: undefined, attemptResult: endedAs('returned', 0), state: 4 as const, retryTime: undefined };
  return recordOf(id, attempt, { $case: 'attemptEnded', value }, 0, 'w');
};
const asks = (id: string): EventRecord =>
  recordOf(
    id,
    0,
    { $case: 'terminationRequested', value: { cause: 1, mode: 1, policy: undefined, requester: '', reason: '', audit: undefined } },
    0,
    'w',
  );
const shown = (dequeued: readonly (Outgoing | undefined)[]): string[] =>
  dequeued.map((one) => `${one?.record.eventId} ${one?.record.change?.$case}`);
/** The outbox reads nothing of an entry. */
const queued = {} as QueuedEvent;
const noTotals = (): OutboxTotals => ({ records: 0, urgent: 0 });

describe('the outbox', () => {
  it('makes one record of a start and its end, in the place of the start', () => {
    const totals = noTotals();
    const outbox = createOutbox(totals);
    outbox.add(queued, begins('a'));
    assert.equal(totals.urgent, 0, 'a start alone may wait for its end');
    outbox.add(queued, begins('b'));
    outbox.add(queued, ends('a'));
    assert.deepEqual([totals, outbox.size], [{ records: 2, urgent: 1 }, 2]);
    const [first, second, ...more] = outbox.dequeue();
    assert.deepEqual(shown([first, second]), ['a attemptEnded', 'b attemptStarted']);
    assert.deepEqual(more, []);
    assert.ok(first?.record.change?.$case === 'attemptEnded' && first.record.change.value.started === started);
    assert.deepEqual([totals, outbox.size], [noTotals(), 0]);
  });

  it('keeps them apart when something came between, or was taken between, or they are of two attempts', () => {
    const totals = noTotals();
    const outbox = createOutbox(totals);
    for (const record of [begins('a'), asks('a'), ends('a')]) outbox.add(queued, record);
    assert.deepEqual(shown(outbox.dequeue()), ['a attemptStarted', 'a terminationRequested', 'a attemptEnded']);
    outbox.add(queued, begins('a'));
    assert.deepEqual(shown(outbox.dequeue()), ['a attemptStarted']);
    outbox.add(queued, ends('a'));
    assert.deepEqual(shown(outbox.dequeue()), ['a attemptEnded']);
    outbox.add(queued, begins('a', 1));
    outbox.add(queued, ends('a', 2));
    assert.deepEqual(shown(outbox.dequeue()), ['a attemptStarted', 'a attemptEnded']);
    assert.deepEqual([totals, outbox.size], [noTotals(), 0]);
  });

  it('keeps partitions apart and each in order, and counts all of them together', () => {
    const totals = noTotals();
    const [first, second] = [createOutbox(totals), createOutbox(totals)];
    for (const id of ['a', 'b', 'c']) (id === 'b' ? second : first).add(queued, ends(id));
    assert.deepEqual(totals, { records: 3, urgent: 3 });
    assert.deepEqual(shown(first.dequeue()), ['a attemptEnded', 'c attemptEnded']);
    assert.deepEqual([totals, first.size, second.size], [{ records: 1, urgent: 1 }, 0, 1]);
    assert.deepEqual(first.dequeue(), []);
    assert.deepEqual(shown(second.dequeue()), ['b attemptEnded']);
    assert.deepEqual(totals, noTotals());
  });

  it('dequeues so many bytes at a time, and finds the starts of what stays', () => {
    const totals = noTotals();
    const outbox = createOutbox(totals);
    for (const id of ['a', 'b', 'c']) outbox.add(queued, begins(id));
    assert.deepEqual(shown(outbox.dequeue(1)), ['a attemptStarted'], 'one that is larger goes alone');
    outbox.add(queued, ends('c'));
    outbox.add(queued, ends('a'));
    assert.deepEqual(shown(outbox.dequeue()), ['b attemptStarted', 'c attemptEnded', 'a attemptEnded']);
    assert.deepEqual(totals, noTotals());
  });
});
