import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { EventRecord, RecordBatch } from '@evenfall/contracts/log/v1/record';
import { logTimeMsOf } from './append-times.ts';
import { decodeBatch, partOf } from './decode.ts';
import { records } from './event-log.contract.ts';
import type { LogBatch } from './port.ts';

const encoded = (label: string, count: number): Buffer => Buffer.from(RecordBatch.encode({ records: records(label, count) }).finish());

describe('a stored batch', () => {
  it('whose frame is broken keeps all its bytes, whatever was cut off it or written over it', () => {
    const damage = fc.record({
      count: fc.integer({ min: 1, max: 8 }),
      cut: fc.double({ min: 0, max: 1, noNaN: true }),
      junk: fc.uint8Array({ maxLength: 200 }),
    });
    fc.assert(
      fc.property(damage, ({ count, cut, junk }) => {
        const whole = encoded('damaged', count);
        const kept = Math.floor(whole.length * cut);
        const data = Buffer.concat([whole.subarray(0, kept), junk]);
        const batch = decodeBatch(3, 100, count, data);
        assert.equal(batch.records.length, count);
        // What was read of it and what was not are all there is, in order: nothing of the bytes is lost.
        const unread = new Map((batch.unreadable ?? []).map(({ offset, bytes }) => [offset, bytes]));
        const first = batch.records.findIndex((_, i) => unread.has(100 + i));
        for (const [offset] of unread) assert.ok(offset >= 100 && offset < 100 + count);
        const intact = records('damaged', count).filter((record, i) => batch.records[i]?.eventId === record.eventId).length;
        const lengths = records('damaged', count).map((record) => RecordBatch.encode({ records: [record] }).finish().length);
        const before = lengths.slice(0, intact).reduce((sum, length) => sum + length, 0);
        const rest = Buffer.concat([...unread.values()]);
        if (first < 0) return;
        if (first === intact && data.subarray(before).equals(rest)) return; // the frame was broken here
        // Frames of the junk were read as such: their bytes, without tags and lengths.
        assert.ok(rest.length <= data.length - before && rest.length > 0);
      }),
    );
  });

  it('keeps the bytes of a record that decodes and says nothing', () => {
    const batch = decodeBatch(0, 40, 2, Buffer.concat([encoded('good', 1), Buffer.from([0x0a, 8, 0, 0, 0, 0, 0, 0, 0, 0])]));
    assert.equal(batch.records[0]?.eventId, 'good-0');
    assert.deepEqual(
      batch.unreadable?.map(({ offset, bytes }) => [offset, bytes.length]),
      [[41, 8]],
    );
  });

  it('has the bytes of a broken frame with the first record that is lost, and says so with the others', () => {
    const whole = encoded('frame', 5);
    const third = RecordBatch.encode({ records: records('frame', 2) }).finish().length;
    whole.fill(0xff, third, third + 6);
    const batch = decodeBatch(0, 40, 5, whole);
    assert.deepEqual(
      batch.records.map(({ eventId }) => eventId),
      ['frame-0', 'frame-1', '', '', ''],
    );
    const [first, second, last] = batch.unreadable ?? [];
    assert.deepEqual([first?.offset, second?.offset, last?.offset], [42, 43, 44]);
    assert.deepEqual(Buffer.from(first?.bytes ?? []), whole.subarray(third));
    assert.match(first?.error ?? '', new RegExp(`broken at byte ${third} of ${whole.length}`));
    assert.equal(second?.bytes.length, 0);
    assert.match(last?.error ?? '', /bytes are with those of offset 42/);
  });

  it('is not taken for a record where the bytes behind a broken frame happen to be one', () => {
    const data = Buffer.concat([encoded('whole', 1), EventRecord.encode(records('stray', 1)[0] as EventRecord).finish()]);
    data[encoded('whole', 1).length] = 0x12; // a field that a batch does not have
    const batch = decodeBatch(0, 0, 2, data);
    assert.deepEqual(
      batch.records.map(({ eventId }) => eventId),
      ['whole-0', ''],
    );
    assert.equal(batch.unreadable?.[0]?.bytes.length, data.length - encoded('whole', 1).length);
  });
});

describe('a part of a batch', () => {
  it('has what is said of its records, and no more', () => {
    const shape = fc.record({
      count: fc.integer({ min: 1, max: 10 }),
      from: fc.nat(10),
      length: fc.nat(10),
      each: fc.boolean(),
      byWriterClock: fc.boolean(),
      broken: fc.uniqueArray(fc.nat(9)),
    });
    fc.assert(
      fc.property(shape, ({ count, from, length, each, byWriterClock, broken }) => {
        const start = Math.min(from, count);
        const end = Math.min(start + length, count);
        const unreadable = broken.filter((i) => i < count).map((i) => ({ offset: 7 + i, bytes: new Uint8Array([i]), error: '' }));
        const batch: LogBatch = {
          partition: 1,
          firstOffset: 7,
          records: records('part', count),
          appendTimesMs: each ? records('part', count).map((_, i) => 1_000 + i) : 1_000,
          ...(byWriterClock ? { byWriterClock } : {}),
          ...(unreadable.length > 0 ? { unreadable } : {}),
        };
        const part = partOf(batch, start, end);
        assert.equal(part.firstOffset, 7 + start);
        assert.deepEqual(part.records, batch.records.slice(start, end));
        for (let i = start; i < end; i++) {
          assert.equal(logTimeMsOf(part, i - start), logTimeMsOf(batch, i));
          assert.equal(logTimeMsOf(part, i - start), byWriterClock ? undefined : 1_000 + (each ? i : 0));
        }
        assert.deepEqual(
          (part.unreadable ?? []).map(({ offset }) => offset),
          unreadable.map(({ offset }) => offset).filter((offset) => offset >= 7 + start && offset < 7 + end),
        );
      }),
    );
  });

  it('has no time where the log says none that there is', () => {
    for (const timeMs of [NaN, Infinity, -1, 9e15]) assert.equal(logTimeMsOf({ appendTimesMs: timeMs }, 0), undefined);
  });
});
