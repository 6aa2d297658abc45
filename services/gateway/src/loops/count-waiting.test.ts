import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QueueServiceService } from '@evenfall/contracts/queue/v1/queue_service';
import { refuse } from '@evenfall/errors';
import { inProcessClient } from '@evenfall/rpc';
import { fakeClock } from '@evenfall/time';
import type { Counted } from '../ports.ts';
import { createWaitingCounts } from './count-waiting.ts';

const ALL = { limitsQueued: true, limitsQueuedByKey: true };
const of = (name: string): Counted => ({ scope: 'namespace', name });

const notHere = (): never => {
  throw refuse('UNIMPLEMENTED', { detail: 'a fake' });
};

describe('Counts of what waits', () => {
  const replica = () => {
    const state = {
      counts: {} as Record<string, number>,
      keys: {} as Record<string, number>,
      isAway: false,
      asked: 0,
      hold: Promise.resolve(),
    };
    const client = inProcessClient(QueueServiceService, {
      acceptEvents: notHere,
      terminateEvent: notHere,
      purgeDeadLetter: notHere,
      watchOwnership: notHere,
      getHealth: notHere,
      countWaiting: async ({ byKey }) => {
        state.asked++;
        await state.hold;
        if (state.isAway) throw refuse('SERVICE_UNAVAILABLE', { detail: 'away' });
        return {
          namespaces: Object.entries(state.counts).map(([namespace, count]) => ({ namespace, count: BigInt(count) })),
          keys: byKey ? Object.entries(state.keys).map(([keyId, count]) => ({ keyId, count: BigInt(count) })) : [],
        };
      },
    });
    return { state, client };
  };

  it('are the sum over all replicas and what was sent since', async () => {
    const [one, two] = [replica(), replica()];
    const clock = fakeClock();
    const counts = createWaitingCounts({ queues: [one.client, two.client] }, clock, () => ALL);
    one.state.counts = { a: 3 };
    two.state.counts = { a: 4, b: 1 };
    assert.equal(counts.isRecent, false);
    await counts.refresh();
    assert.equal(counts.isRecent, true);
    counts.add([of('a')], 10)();
    assert.deepEqual([counts.count(of('a')), counts.count(of('b')), counts.count(of('c'))], [17, 1, 0]);
    clock.advance(100);
    await counts.refresh();
    assert.equal(counts.count(of('a')), 7, 'what was sent is counted by the queue');
  });

  it('leave out nothing that is sent while they are asked for', async () => {
    const one = replica();
    const counts = createWaitingCounts({ queues: [one.client] }, fakeClock(), () => ALL);
    const { promise, resolve } = Promise.withResolvers<undefined>();
    one.state.hold = promise.then(() => undefined);
    counts.add([of('a')], 1)();
    const asked = counts.refresh();
    counts.add([of('a')], 2)();
    assert.equal(counts.count(of('a')), 3, 'before the answer both count');
    one.state.counts = { a: 1 };
    resolve(undefined);
    await asked;
    assert.equal(counts.count(of('a')), 3, 'the first by the queue, the second here');
  });

  it('leave out nothing that is on its way to a queue, however often they are asked for', async () => {
    const one = replica();
    const clock = fakeClock();
    const counts = createWaitingCounts({ queues: [one.client] }, clock, () => ALL);
    const settle = counts.add([of('a')], 5);
    for (let n = 0; n < 3; n++) {
      clock.advance(1_000);
      await counts.refresh();
      assert.equal(counts.count(of('a')), 5, 'the queue has not answered');
    }
    one.state.counts = { a: 5 };
    settle();
    assert.ok(counts.count(of('a')) >= 5);
    clock.advance(1_000);
    await counts.refresh();
    assert.equal(counts.count(of('a')), 5, 'counted by the queue alone');
    settle();
    assert.equal(counts.count(of('a')), 5);
  });

  it('are asked for once at a time, and not again at once', async () => {
    const one = replica();
    const clock = fakeClock();
    const counts = createWaitingCounts({ queues: [one.client] }, clock, () => ALL);
    await Promise.all(Array.from({ length: 20 }, () => counts.refresh()));
    await counts.refresh();
    assert.equal(one.state.asked, 1);
    clock.advance(60);
    await counts.refresh();
    assert.equal(one.state.asked, 2);
  });

  it('of a replica that is away stay for a while', async () => {
    const one = replica();
    const clock = fakeClock();
    const counts = createWaitingCounts({ queues: [one.client] }, clock, () => ALL);
    one.state.counts = { a: 5 };
    await counts.refresh();
    one.state.isAway = true;
    clock.advance(5_000);
    await counts.refresh();
    assert.equal(counts.count(of('a')), 5);
    clock.advance(6_000);
    await counts.refresh();
    assert.equal(counts.count(of('a')), 0);
  });

  it('are of keys too, asked for anew once a quota of a key needs them', async () => {
    const one = replica();
    const clock = fakeClock();
    const wanted = { limitsQueued: true, limitsQueuedByKey: false };
    const counts = createWaitingCounts({ queues: [one.client] }, clock, () => wanted);
    const app: Counted = { scope: 'key', name: 'a' }; // named as a namespace is
    one.state.counts = { a: 2 };
    one.state.keys = { a: 7 };
    await counts.refresh();
    assert.deepEqual([counts.count(of('a')), counts.count(app), counts.isRecent], [2, 0, true]);
    wanted.limitsQueuedByKey = true;
    assert.equal(counts.isRecent, false, 'those of keys are not known');
    await counts.refresh();
    assert.deepEqual([counts.count(of('a')), counts.count(app), counts.isRecent], [2, 7, true]);
    counts.add([of('a'), app], 3)();
    assert.deepEqual([counts.count(of('a')), counts.count(app)], [5, 10]);
  });
});
