import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AcceptedEvent, EventRecord } from '@evenfall/contracts/log/v1/record';
import { newUuidV7, timeOfUuidV7, uuidOfName } from '@evenfall/time';
import { mayBeRepeated } from './may-be-repeated.ts';

const NOW = Date.UTC(2030, 0, 1);
const recordOf = (eventId: string, offMs: number, more: Partial<AcceptedEvent> = {}): EventRecord =>
  EventRecord.create({
    eventId,
    time: new Date((timeOfUuidV7(eventId) ?? NOW) + offMs),
    change: { $case: 'accepted', value: { ...AcceptedEvent.create(), ...more } },
  });

describe('an Accepted record', () => {
  it('is of a new event if its id was made a moment ago', () => {
    for (const offMs of [-2_999, -1, 0, 1, 2_999]) assert.equal(mayBeRepeated(recordOf(newUuidV7(NOW), offMs)), false, String(offMs));
  });

  it('may be of a known one if the times of id and record differ, in either direction', () => {
    for (const offMs of [-86_400_000, -120_000, -3_001, 3_001, 120_000, 86_400_000])
      assert.equal(mayBeRepeated(recordOf(newUuidV7(NOW), offMs)), true, String(offMs));
  });

  it('may be of a known one if the log took it long after it was made, whatever its own time says', () => {
    const record = recordOf(newUuidV7(NOW), 1);
    for (const offMs of [0, 5, 2_999]) assert.equal(mayBeRepeated(record, NOW + offMs), false, String(offMs));
    for (const offMs of [3_001, 12_000]) assert.equal(mayBeRepeated(record, NOW + offMs), true, String(offMs));
  });

  it('may be of a known one if a key named it, it was sent again, or its id says nothing', () => {
    assert.equal(mayBeRepeated(recordOf(newUuidV7(NOW), 0, { keyed: true })), true);
    assert.equal(mayBeRepeated(recordOf(newUuidV7(NOW), 0, { repeated: true })), true);
    assert.equal(mayBeRepeated(recordOf(uuidOfName('a', 'b'), 0)), true);
  });
});

describe('ids', () => {
  it('rise over a small step back of the clock, and follow it over a larger one', () => {
    const at = NOW + 86_400_000;
    const first = newUuidV7(at);
    assert.ok(newUuidV7(at - 500) > first);
    const after = newUuidV7(at - 120_000);
    assert.equal(timeOfUuidV7(after), at - 120_000);
    assert.ok(newUuidV7(at - 120_000) > after);
  });
});
