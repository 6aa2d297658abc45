import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventRecord } from '@evenfall/contracts/log/v1/record';
import fc from 'fast-check';
import { ownBytes } from './own-bytes.ts';

/** Bytes as they are cut from a pool. */
const pooled = fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const large = fc.uint8Array({ minLength: 1, maxLength: 9 }).map((bytes) => Buffer.alloc(70_000, bytes).subarray(1, 40_000));
const bytes = fc.oneof({ weight: 5, arbitrary: pooled }, { weight: 1, arbitrary: large });

const accepted = bytes.map((payload) => EventRecord.fromPartial({ eventId: 'one', change: { $case: 'accepted', value: { payload } } }));
const concluded = fc.tuple(bytes, bytes).map(([result, error]) =>
  EventRecord.fromPartial({
    eventId: 'two',
    change: { $case: 'attemptEnded', value: { attemptResult: { result, error } } },
  }),
);
const other = fc.constant(EventRecord.fromPartial({ eventId: 'three', change: { $case: 'ownerChanged', value: {} } }));
const records = fc.array(fc.oneof(accepted, concluded, other), { maxLength: 30 });

function buffersOf(record: EventRecord): readonly Buffer[] {
  if (record.change?.$case === 'accepted') return [record.change.value.payload];
  const ended = record.change?.$case === 'attemptEnded' ? record.change.value.attemptResult : undefined;
  return ended ? [ended.result, ended.error] : [];
}

describe('The bytes of records that are kept', () => {
  it('are the same as before, and hold no more memory than twice what they are', () => {
    fc.assert(
      fc.property(records, (some) => {
        const before = some.map((record) => Buffer.from(EventRecord.encode(record).finish()));
        ownBytes(some);
        assert.deepEqual(
          some.map((record) => Buffer.from(EventRecord.encode(record).finish())),
          before,
        );
        const all = some.flatMap(buffersOf);
        const held = new Set(all.map(({ buffer }) => buffer));
        const heldBytes = [...held].reduce((sum, { byteLength }) => sum + byteLength, 0);
        const textBytes = all.reduce((sum, { length }) => sum + length, 0);
        assert.ok(heldBytes <= 2 * textBytes, `${heldBytes} bytes held for ${textBytes}`);
      }),
    );
  });

  it('are copied once where they hold more', () => {
    const payload = Buffer.from('{"small":true}');
    assert.ok(payload.buffer.byteLength > 1_000, 'small buffers are cut from a pool');
    const record = EventRecord.fromPartial({ eventId: 'one', change: { $case: 'accepted', value: {} } });
    if (record.change?.$case === 'accepted') record.change.value.payload = payload;
    ownBytes([record]);
    const [own] = buffersOf(record);
    assert.equal(own?.buffer.byteLength, payload.length);
    ownBytes([record]);
    assert.equal(buffersOf(record)[0], own);
  });
});
