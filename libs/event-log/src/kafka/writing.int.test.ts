import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { isRefusal } from '@evenfall/errors';
import { eventually, patient } from '@evenfall/testkit';
import { answers, testKafka } from '@evenfall/testkit/kafka';
import { records } from '../event-log.contract.ts';
import type { EventLog } from '../port.ts';
import { closeLogs, DEADLINE_MS, newTopic, readAll, testLog } from './testing/open.ts';
import { startProxy } from './testing/proxy.ts';

const proxy = await startProxy();
const kafka = await testKafka({ isOwn: true, advertisedPort: proxy.port });
const server = kafka?.server;
const brokers = kafka?.brokers ?? '';
if (server) proxy.forwardTo(server.port);
after(async () => {
  await closeLogs();
  proxy.close();
  await kafka?.stop();
});

const skip = { skip: server === undefined };

/** Whether it was refused, and in time. */
async function assertRefused(asked: Promise<unknown>): Promise<void> {
  const began = performance.now();
  await assert.rejects(asked, (error) => isRefusal(error) && error.reason === 'LOG_UNAVAILABLE');
  assert.ok(performance.now() - began < DEADLINE_MS + 1_500, 'it was refused late');
}

async function idsOf(log: EventLog, count: number): Promise<readonly string[]> {
  const seen = readAll(log, 'ids');
  await eventually(() => seen.ids.length >= count, 20_000);
  await seen.subscription.stop();
  return seen.ids;
}

/** Longer than any write takes: what is refused then is refused for another reason. */
const PATIENT_MS = 60_000;

describe('Writing to Kafka', () => {
  test('loses nothing silently when the answer to a write is lost', skip, async () => {
    const log = await testLog(brokers, newTopic());
    await log.append(0, records('before', 1));
    const swallowed = proxy.swallowProduceAnswer();
    const refused = assertRefused(log.append(0, records('unanswered', 1)));
    await swallowed;
    // Numbered as the unanswered one, the next would be taken for a repetition of it: acknowledged, and not written.
    const acknowledged = new Map<string, number>();
    let count = 0;
    const writing = setInterval(() => {
      const label = `during-${count++}`;
      log.append(0, records(label, 1)).then(
        (end) => acknowledged.set(`${label}-0`, end),
        () => undefined, // its deadline came first
      );
    }, 10);
    await refused;
    await eventually(() => acknowledged.size > 50, patient(10_000));
    clearInterval(writing);
    const end = await log.append(0, records('last', 1));
    assert.equal((await log.endOffsets()).get(0), end);
    const ids = await idsOf(log, end);
    for (const [id, endOffset] of acknowledged) assert.equal(ids[endOffset - 1], id, 'it is where it was said to be');
    await log.close();
  });

  test('keeps the order of a partition, whatever is appended at the same time', skip, async () => {
    const log = await testLog(brokers, newTopic());
    const writer = async (label: string): Promise<void> => {
      for (let i = 0; i < 30; i++)
        await Promise.all([0, 1, 2, 3].map((partition) => log.append(partition, records(`${label}-${partition}-${i}`, 2))));
    };
    await Promise.all(Array.from({ length: 10 }, (_, i) => writer(`w${i}`)));
    const ids = await idsOf(log, 2_400);
    for (let writer = 0; writer < 10; writer++) {
      for (const partition of [0, 1, 2, 3]) {
        const own = ids.filter((id) => id.startsWith(`w${writer}-${partition}-`));
        assert.deepEqual(own, Array.from({ length: 30 }, (_, i) => [0, 1].map((k) => `w${writer}-${partition}-${i}-${k}`)).flat());
      }
    }
    await log.close();
  });

  test('takes large records, and many of them at once', skip, async () => {
    const log = await testLog(brokers, newTopic(), { deadlineMs: PATIENT_MS });
    const large = (id: string) => records(id, 1).map((record) => ({ ...record, writerId: 'x'.repeat(1_000_000) }));
    const ends = await Promise.all(Array.from({ length: 20 }, (_, i) => log.append(i % 2, large(`large-${i}`))));
    assert.equal(Math.max(...ends), 10);
    const ids = await idsOf(log, 20);
    assert.equal(new Set(ids).size, 20);
    const nine = [...Array(9).keys()].flatMap(() => large('more'));
    assert.equal(await log.append(0, nine), 19, 'an append that is larger than a write is several');
    await log.close();
  });

  test('is refused beyond what may wait', skip, async () => {
    const log = await testLog(brokers, newTopic(), { deadlineMs: PATIENT_MS });
    await log.append(0, records('first', 1));
    const many = records('many', 1_000);
    const appends = Array.from({ length: 250 }, () => log.append(0, many));
    const outcomes = await Promise.allSettled(appends);
    const refused = outcomes.filter((one) => one.status === 'rejected');
    assert.ok(refused.length > 0 && refused.every((one) => isRefusal(one.reason) && one.reason.reason === 'LOG_UNAVAILABLE'));
    const written = outcomes.length - refused.length;
    assert.equal((await log.endOffsets()).get(0), 1 + written * 1_000, 'what was refused left nothing');
    await log.close();
  });

  test('waits no longer than its deadline for a broker that hangs, and goes on when it does', skip, async () => {
    assert.ok(server);
    const log = await testLog(brokers, newTopic());
    const seen = readAll(log, 'patient');
    await log.append(0, records('before', 1));
    await eventually(() => seen.ids.includes('before-0'), 20_000);
    assert.equal(seen.subscription.isOwner(), true);
    server.pause();
    try {
      await eventually(async () => !(await answers(server.port)), patient(10_000)); // its threads stop one after another
      await Promise.all([assertRefused(log.append(0, records('lost', 1))), assertRefused(log.endOffsets())]);
      await assertRefused(log.append(1, records('lost', 1)));
      await eventually(() => !seen.subscription.isOwner(), 10_000);
    } finally {
      server.resume();
    }
    await eventually(() => log.append(0, records('after', 1)).catch(() => undefined), 20_000);
    await eventually(() => seen.ids.includes('after-0') && seen.subscription.isOwner(), 30_000);
    await log.close();
  });

  test('goes on when the broker was killed and has started again, and keeps what it acknowledged', skip, async () => {
    assert.ok(server);
    const log = await testLog(brokers, newTopic());
    const seen = readAll(log, 'survivor');
    await log.append(0, records('before', 10));
    await eventually(() => seen.ids.length === 10, 20_000);
    await server.kill9();
    await assertRefused(log.append(0, records('away', 1)));
    await server.restart();
    await eventually(() => log.append(0, records('after', 1)).catch(() => undefined), 20_000);
    await eventually(() => seen.ids.includes('after-0'), 30_000);
    assert.deepEqual(
      seen.ids.slice(0, 10),
      records('before', 10).map((record) => record.eventId),
    );
    await log.close();
  });
});
