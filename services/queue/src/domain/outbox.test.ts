import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { EventRecord } from '@evenfall/contracts/log/v1/record';
import { endedAs, started } from '../../../../libs/event-model/src/testing/life.ts';
import type { Entry } from './book.ts';
import { createOutbox, type Outgoing } from './outbox.ts';
import { recordOf } from './record.ts';

const begins = (id: string, attempt = 1): EventRecord => recordOf(id, attempt, { $case: 'attemptStarted', value: started }, 0, 'w');
const ends = (id: string, attempt = 1): EventRecord => {
  const value = { started: undefined, ended: endedAs('returned', 0), state: 4 as const, retryTime: undefined };
  return recordOf(id, attempt, { $case: 'attemptConcluded', value }, 0, 'w');
};
const asks = (id: string): EventRecord =>
  recordOf(
    id,
    0,
    { $case: 'terminationRequested', value: { cause: 1, mode: 1, policy: undefined, requester: '', reason: '', audit: undefined } },
    0,
    'w',
  );
const told = (taken: readonly (Outgoing | undefined)[]): string[] =>
  taken.map((one) => `${one?.record.eventId} ${one?.record.change?.$case}`);
/** The outbox looks at nothing else of an entry. */
const of = (partition: number): Entry => ({ partition }) as Entry;

describe('the outbox', () => {
  it('makes one record of a start and its end, in the place of the start', () => {
    const outbox = createOutbox();
    outbox.add(of(0), begins('a'));
    assert.equal(outbox.urgent, false, 'a start alone may wait for its end');
    outbox.add(of(0), begins('b'));
    outbox.add(of(0), ends('a'));
    assert.deepEqual([outbox.urgent, outbox.size], [true, 2]);
    const [first, second, ...more] = outbox.take(0);
    assert.deepEqual(told([first, second]), ['a attemptConcluded', 'b attemptStarted']);
    assert.deepEqual(more, []);
    assert.ok(first?.record.change?.$case === 'attemptConcluded' && first.record.change.value.started === started);
    assert.deepEqual([outbox.urgent, outbox.size, outbox.partitions()], [false, 0, []]);
  });

  it('keeps them apart when something came between, or was taken between, or they are of two attempts', () => {
    const outbox = createOutbox();
    for (const record of [begins('a'), asks('a'), ends('a')]) outbox.add(of(0), record);
    assert.deepEqual(told(outbox.take(0)), ['a attemptStarted', 'a terminationRequested', 'a attemptConcluded']);
    outbox.add(of(0), begins('a'));
    assert.deepEqual(told(outbox.take(0)), ['a attemptStarted']);
    outbox.add(of(0), ends('a'));
    assert.deepEqual(told(outbox.take(0)), ['a attemptConcluded']);
    outbox.add(of(0), begins('a', 1));
    outbox.add(of(0), ends('a', 2));
    assert.deepEqual(told(outbox.take(0)), ['a attemptStarted', 'a attemptConcluded']);
    assert.deepEqual([outbox.urgent, outbox.size], [false, 0]);
  });

  it('keeps partitions apart, and each in order', () => {
    const outbox = createOutbox();
    for (const id of ['a', 'b', 'c']) outbox.add(of(id === 'b' ? 1 : 0), ends(id));
    assert.deepEqual(outbox.partitions(), [0, 1]);
    assert.deepEqual(told(outbox.take(0)), ['a attemptConcluded', 'c attemptConcluded']);
    assert.deepEqual([outbox.urgent, outbox.size, outbox.partitions()], [true, 1, [1]]);
    assert.deepEqual(outbox.take(7), []);
    assert.deepEqual(told(outbox.take(1)), ['b attemptConcluded']);
    assert.equal(outbox.urgent, false);
  });
});
