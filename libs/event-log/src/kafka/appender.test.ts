import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { eventually } from '@evenfall/testkit';
import { systemClock } from '@evenfall/time';
import { records } from '../event-log.contract.ts';
import { createAppender } from './appender.ts';
import type { Producer } from './producer.ts';

type Send = { readonly counts: ReadonlyMap<number, number>; answer(): void; fail(): void };

/** An appender, and the producers it connects. The test decides when a send is answered. */
function appending(deadlineMs = 5_000) {
  const sends: Send[] = [];
  const failures: string[] = [];
  const producers = { connected: 0, killed: 0, closed: 0, isAway: false };
  const ends = new Map<number, number>();
  const connect = async (): Promise<Producer> => {
    if (producers.isAway) throw new Error('no broker there');
    producers.connected++;
    return {
      send: (messages) =>
        new Promise((resolve, reject) => {
          const counts = new Map([...messages].map(([partition, some]) => [partition, some.length]));
          const answer = (): void => {
            const firsts = new Map([...counts.keys()].map((partition) => [partition, ends.get(partition) ?? 0]));
            for (const [partition, count] of counts) ends.set(partition, (ends.get(partition) ?? 0) + count);
            resolve(firsts);
          };
          sends.push({ counts, answer, fail: () => reject(new Error('no answer')) });
        }),
      async close() {
        producers.closed++;
      },
      kill() {
        producers.killed++;
      },
    };
  };
  const appender = createAppender({ connect, clock: systemClock, deadlineMs, onFailure: (error) => failures.push(String(error)) });
  return { appender, sends, failures, producers };
}

const isUnavailable = (error: unknown): boolean => isRefusal(error) && error.reason === 'LOG_UNAVAILABLE';

describe('Appending to Kafka', () => {
  it('has one flush in flight; what comes meanwhile is the next one', async () => {
    const { appender, sends } = appending();
    const first = appender.append(0, records('a', 2));
    await eventually(() => sends.length === 1);
    const more = [appender.append(0, records('b', 1)), appender.append(1, records('c', 3)), appender.append(0, records('d', 1))];
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(sends.length, 1);
    sends[0]?.answer();
    assert.equal(await first, 2);
    await eventually(() => sends.length === 2);
    assert.deepEqual([...(sends[1]?.counts ?? [])], [[0, 2], [1, 3]]); // prettier-ignore
    sends[1]?.answer();
    assert.deepEqual(await Promise.all(more), [3, 3, 4]);
    await appender.close();
  });

  it('gives a producer up when a flush has failed, before anything else is sent', async () => {
    const { appender, sends, failures, producers } = appending();
    const first = appender.append(0, records('a', 1));
    await eventually(() => sends.length === 1);
    const second = appender.append(0, records('b', 1));
    sends[0]?.fail();
    await assert.rejects(first, isUnavailable);
    await eventually(() => sends.length === 2);
    assert.deepEqual([producers.killed, producers.connected, failures.length], [1, 2, 1]);
    sends[1]?.answer();
    assert.equal(await second, 1);
    await appender.close();
    assert.equal(producers.closed, 1);
  });

  it('refuses at the deadline, whether it waits or is being written', async () => {
    const { appender, sends } = appending(100);
    const first = appender.append(0, records('a', 1));
    await eventually(() => sends.length === 1);
    const second = appender.append(0, records('b', 1));
    await assert.rejects(first, isUnavailable);
    await assert.rejects(second, isUnavailable);
    sends[0]?.answer();
    await appender.close();
    assert.equal(sends.length, 1, 'what was refused while it waited is not written');
  });

  it('is closed, and refuses what waits, also while no broker is there', async () => {
    const given = appending(100);
    given.producers.isAway = true;
    const first = given.appender.append(0, records('a', 1));
    await eventually(() => given.sends.length === 1); // the first connection was made before
    given.sends[0]?.fail();
    await assert.rejects(first, isUnavailable);
    const second = assert.rejects(given.appender.append(0, records('b', 1)), isUnavailable);
    await given.appender.close();
    await second;
    await assert.rejects(given.appender.append(0, records('c', 1)), isUnavailable);
  });
});
