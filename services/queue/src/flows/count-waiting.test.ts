import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { createLanes, createLaneWindow, type Lanes } from '../domain/lanes.ts';
import type { QueuedEvent, Lane } from '../domain/types.ts';
import { countWaiting } from './count-waiting.ts';

const laneOf = (lanes: Lanes, namespace: string, fn: string): Lane => lanes.get({ namespace, function: fn, trigger: 'api' });
const park = (lanes: Lanes, lane: Lane, acceptOffset: number, accessKeyId = ''): void =>
  lanes.park(lane, { acceptOffset, expiresMs: Infinity, accessKeyId, acceptedMs: undefined });
const byKey = (lanes: Lanes): Record<string, number> =>
  Object.fromEntries(countWaiting(lanes.all(), { byKey: true }).keys.map(({ keyId, count }) => [keyId, Number(count)]));

describe('What waits', () => {
  it('is counted by namespace: in memory, parked, and being accepted', () => {
    const lanes = createLanes(createLaneWindow(), 0);
    laneOf(lanes, 'a', 'f').waiting = 3;
    lanes.countAccepting(laneOf(lanes, 'a', 'g'), 4, 'app');
    for (let n = 0; n < 5; n++) park(lanes, laneOf(lanes, 'b', 'f'), n);
    laneOf(lanes, 'c', 'f'); // nothing of it waits
    const counted = countWaiting(lanes.all(), { byKey: false });
    assert.deepEqual(
      counted.namespaces.map(({ namespace, count }) => [namespace, count]),
      [
        ['a', 7n],
        ['b', 5n],
      ],
    );
    assert.deepEqual(counted.keys, [], 'keys are counted only where that was asked for');
    lanes.unparkAll(laneOf(lanes, 'b', 'f'));
    assert.deepEqual(
      countWaiting(lanes.all(), { byKey: false }).namespaces.map(({ namespace }) => namespace),
      ['a'],
    );
  });

  it('is counted by access key over lanes, whatever is accepted, parked, fetched, started or dropped in between', () => {
    const keys = ['app', 'ci', ''];
    const step = fc.record({
      kind: fc.constantFrom('accept', 'accepted', 'park', 'unpark', 'unparkAll', 'count', 'uncount', 'leave'),
      lane: fc.constantFrom('f', 'g'),
      key: fc.constantFrom(...keys),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const lanes = createLanes(createLaneWindow(), 0);
        // What is true of each lane, kept in the plainest way: a list of keys for every way to wait.
        const accepting: Record<string, string[]> = { f: [], g: [] };
        const parked: Record<string, string[]> = { f: [], g: [] };
        const entries: { readonly entry: QueuedEvent; isCounted: boolean }[] = [];
        steps.forEach(({ kind, lane: name, key, pick }, n) => {
          const lane = laneOf(lanes, 'a', name);
          const [ofAccepting = [], ofParked = []] = [accepting[name], parked[name]];
          const chosen = entries[pick % Math.max(1, entries.length)];
          if (kind === 'accept') {
            ofAccepting.push(key);
            lanes.countAccepting(lane, 1, key);
          } else if (kind === 'accepted' && ofAccepting.length > 0) {
            lanes.countAccepting(lane, -1, ofAccepting.pop() ?? '');
          } else if (kind === 'park') {
            ofParked.push(key);
            park(lanes, lane, n, key);
          } else if (kind === 'unpark' && ofParked.length > 0) {
            lanes.unpark(lane, ofParked.shift() ?? '');
          } else if (kind === 'unparkAll') {
            lanes.unparkAll(lane);
            ofParked.length = 0;
          } else if (kind === 'count' || entries.length === 0) {
            const entry = { lane, counted: false, ready: false, folded: { accessKeyId: key } } as QueuedEvent; // all that is looked at
            lanes.join(entry);
            lanes.countWaiting(entry);
            entries.push({ entry, isCounted: true });
          } else if (kind === 'uncount' && chosen) {
            lanes.uncountWaiting(chosen.entry);
            chosen.isCounted = false;
          } else if (kind === 'leave' && chosen) {
            lanes.leave(chosen.entry);
            entries.splice(entries.indexOf(chosen), 1);
          }
        });
        const waiting = [
          ...Object.values(accepting).flat(),
          ...Object.values(parked).flat(),
          ...entries.filter(({ isCounted }) => isCounted).map(({ entry }) => entry.folded.accessKeyId),
        ];
        const expected: Record<string, number> = {};
        for (const key of waiting) if (key !== '') expected[key] = (expected[key] ?? 0) + 1;
        assert.deepEqual(byKey(lanes), expected);
      }),
    );
  });
});
