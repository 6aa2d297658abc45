import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FoldedEvent } from '@evenfall/contracts/log/v1/folded_event';
import { createLanes, createLaneWindow, type Lanes, type LaneWindow } from './lanes.ts';
import type { QueuedEvent, Lane } from './types.ts';

/** The lanes of one partition, and the window they have for themselves. */
function start(): { lanes: Lanes; window: LaneWindow } {
  const window = createLaneWindow();
  return { lanes: createLanes(window, 0), window };
}

function fill(lanes: Lanes, key: string, count: number): Lane {
  const lane = lanes.get(nameOf(key));
  for (let i = 0; i < count; i++) lanes.markReady(entryOf(lane, `${key}${i}`));
  return lane;
}

const nameOf = (fn: string) => ({ namespace: 'default', function: fn, trigger: 'api' });

function entryOf(lane: Lane, id: string, payloadBytes = 0): QueuedEvent {
  const folded = { ...FoldedEvent.create(), payload: Buffer.alloc(payloadBytes) };
  return {
    id,
    partition: 0,
    lane,
    folded,
    ready: false,
    readyBytes: 0,
    dispatched: 0,
    mayBeDispatched: false,
    counted: false,
    acceptedMs: 0,
    dueMs: 0,
    waiters: undefined,
  };
}

const idsOf = (entries: readonly QueuedEvent[]): string[] => entries.map(({ id }) => id);
const countOf = (entries: readonly QueuedEvent[], lane: Lane): number => entries.filter((queued) => queued.lane === lane).length;

describe('lanes', () => {
  it('gives first in, first out', () => {
    const { lanes, window } = start();
    fill(lanes, 'a', 5);
    assert.deepEqual(idsOf(window.dequeue(0)), ['a0', 'a1', 'a2', 'a3', 'a4']);
    assert.deepEqual(window.dequeue(0), []);
  });

  it('takes turns: a lane with ten events is not behind one with ten thousand', () => {
    const { lanes, window } = start();
    const flood = fill(lanes, 'flood', 10_000);
    const trickle = fill(lanes, 'trickle', 10);
    const dequeued = window.dequeue(0);
    assert.equal(countOf(dequeued, trickle), 10);
    const lastOfTrickle = dequeued.findLastIndex((queued) => queued.lane === trickle);
    assert.ok(lastOfTrickle < 100, `the trickle was through after ${lastOfTrickle}`);
    assert.equal(countOf(dequeued, flood), 256, 'and the flood has its window, no more');
  });

  it('keeps a lane to its window, and gives one for each that leaves', () => {
    const { lanes, window } = start();
    fill(lanes, 'a', 1_000);
    const first = window.dequeue(0);
    assert.equal(first.length, 256);
    assert.deepEqual(window.dequeue(0), []);
    first.slice(0, 3).forEach((queued) => lanes.release(queued));
    assert.deepEqual(idsOf(window.dequeue(0)), ['a256', 'a257', 'a258']);
    lanes.release(first[0] as QueuedEvent);
    assert.deepEqual(window.dequeue(0), [], 'releasing twice is releasing once');
  });

  it('keeps all lanes to what may be on its way at all, and leaves none out', () => {
    const { lanes, window } = start();
    const all = Array.from({ length: 40 }, (_, i) => fill(lanes, `lane-${i}/`, 300));
    const first = window.dequeue(0);
    assert.equal(first.length, 4_096);
    const counts = all.map((lane) => countOf(first, lane));
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 64, counts.join(' '));
    for (const queued of first) lanes.release(queued);
    const second = window.dequeue(0);
    assert.equal(second.length, 4_096);
    assert.equal(new Set([...first, ...second]).size, 8_192);
  });

  it('passes over a lane that pauses until its time', () => {
    const { lanes, window } = start();
    lanes.pause(fill(lanes, 'a', 2), 1_000);
    fill(lanes, 'b', 1);
    assert.deepEqual(idsOf(window.dequeue(999)), ['b0']);
    assert.deepEqual(idsOf(window.dequeue(1_000)), ['a0', 'a1']);
  });

  it('skips events that are not ready any more, and puts back to the front those that were dequeued too early', () => {
    const { lanes, window } = start();
    const lane = fill(lanes, 'a', 4);
    const first = lane.ready.peek() as QueuedEvent;
    first.ready = false;
    assert.equal(lane.ready.size, 3);
    const second = lane.ready.shift() as QueuedEvent;
    lane.ready.unshift(second);
    assert.deepEqual(idsOf(window.dequeue(0)), ['a1', 'a2', 'a3']);
    assert.equal(lane.ready.size, 0);
    assert.equal(lane.ready.peek(), undefined);
  });

  it('counts nothing that is not ready, wherever it is', () => {
    const { lanes, window } = start();
    const lane = lanes.get(nameOf('a'));
    const entries = Array.from({ length: 4 }, (_, i) => entryOf(lane, `a${i}`));
    for (const queued of entries) lanes.markReady(queued);
    for (const queued of entries.slice(1)) lanes.unmarkReady(queued);
    assert.deepEqual(idsOf(window.dequeue(0)), ['a0']);
    assert.deepEqual(idsOf(window.dequeue(0)), []);
  });

  it('does not drop a lane that was made after it was dropped', () => {
    const { lanes } = start();
    const old = lanes.get(nameOf('a'));
    lanes.dropIfEmpty(old);
    const lane = fill(lanes, 'a', 1);
    assert.notEqual(lane, old);
    lanes.dropIfEmpty(old);
    assert.equal(lanes.get(nameOf('a')), lane);
  });

  it('takes turns among the lanes of all partitions, and keeps them to one window together', () => {
    const window = createLaneWindow();
    const partitions = Array.from({ length: 12 }, (_, partition) => createLanes(window, partition));
    const all = partitions.flatMap((lanes, i) => [fill(lanes, `${i}a`, 300), fill(lanes, `${i}b`, 300)]);
    const first = window.dequeue(0);
    assert.equal(first.length, 4_096);
    const counts = all.map((lane) => countOf(first, lane));
    assert.ok(Math.max(...counts) - Math.min(...counts) <= 64, counts.join(' '));
    for (const queued of first) partitions[5]?.release(queued);
    assert.equal(window.inUse, 0);
  });

  it('forgets a lane only when nothing of it is left', () => {
    const { lanes, window } = start();
    const lane = fill(lanes, 'a', 1);
    const [queued] = window.dequeue(0) as [QueuedEvent];
    lanes.join(queued);
    lanes.dropIfEmpty(lane);
    assert.equal([...lanes.all()].length, 1, 'one is on its way');
    lanes.release(queued);
    lanes.dropIfEmpty(lane);
    assert.equal([...lanes.all()].length, 1, 'one runs, and may come back');
    lanes.countAccepting(lane, 1, '');
    lanes.leave(queued);
    assert.equal([...lanes.all()].length, 1, 'one is being accepted');
    lanes.countAccepting(lane, -1, '');
    assert.equal([...lanes.all()].length, 0);
  });

  it('gives a hundred thousand in order, and the room they took', () => {
    const { lanes, window } = start();
    const lane = fill(lanes, '', 100_000);
    let next = 0;
    for (let dequeued = window.dequeue(0); dequeued.length > 0; dequeued = window.dequeue(0)) {
      for (const queued of dequeued) {
        assert.equal(queued.id, String(next++));
        lanes.release(queued);
      }
    }
    assert.equal(next, 100_000);
    assert.equal(lane.ready.size, 0);
  });

  it('keeps so much of a lane in memory, counts the rest as parked, and says when it runs low', () => {
    const { lanes, window } = start();
    const lane = lanes.get(nameOf('a'));
    const large = 1024 * 1024;
    for (let i = 0; lanes.hasRoom(lane); i++) lanes.markReady(entryOf(lane, `a${i}`, large));
    assert.equal(lane.readyCount, 16, '16 MiB of payloads');
    for (let offset = 100; offset < 105; offset++)
      lanes.park(lane, { acceptOffset: offset, expiresMs: Infinity, accessKeyId: '', acceptedMs: undefined });
    assert.deepEqual([lane.parked.afterOffset, lane.parked.lastOffset, lane.waiting, lanes.parkedCount], [99, 104, 5, 5]);
    assert.equal(lanes.runsLow(lane), false);
    const dequeued = window.dequeue(0);
    assert.deepEqual(
      [lane.readyBytes, lanes.runsLow(lane), lanes.hasRoom(lane)],
      [0, true, false],
      'what comes goes behind the parked ones',
    );
    for (const queued of dequeued) lanes.release(queued);
    lanes.dropIfEmpty(lane);
    assert.equal(lanes.get(nameOf('a')), lane, 'it is not forgotten while some are parked');
    lanes.unparkAll(lane);
    assert.deepEqual([lanes.runsLow(lane), lanes.hasRoom(lane), [...lanes.withParked()]], [false, true, []]);
  });

  it('keeps a window of each lane when all of them together have much', () => {
    const { lanes } = start();
    for (const key of ['a', 'b', 'c']) fill(lanes, key, 20_000);
    const late = fill(lanes, 'late', 100);
    assert.equal(lanes.hasRoom(late), true);
    fill(lanes, 'later', 256);
    assert.equal(lanes.hasRoom(lanes.get(nameOf('later'))), false);
  });
});
