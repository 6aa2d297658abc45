import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { after, describe, test } from 'node:test';
import { eventually } from '@evenfall/testkit';
import { madeTopic, testKafka } from '@evenfall/testkit/kafka';
import { silentLog } from '@evenfall/telemetry';
import kafkajs from 'kafkajs';
import { records } from '../event-log.contract.ts';
import type { EventLog } from '../port.ts';
import { closeLogs, newTopic, readAll, SESSION_MS, testLog, type Seen } from './testing/open.ts';

const kafka = await testKafka();
const brokers = kafka?.brokers ?? '';
const children: ChildProcess[] = [];
after(async () => {
  await closeLogs();
  for (const child of children) child.kill('SIGKILL');
  await kafka?.stop();
});

const skip = { skip: kafka === undefined };
const ALL = [0, 1, 2, 3];

type Printed = { readonly seen: readonly string[]; readonly mine: readonly number[]; readonly isOwner: boolean };

/** A reader of the group "shared" in another process. */
function startMember(topic: string) {
  const file = fileURLToPath(new URL('./testing/member.ts', import.meta.url));
  const child = spawn(process.execPath, [file, brokers, topic], { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const output: Printed[] = [];
  createInterface(child.stdout).on('line', (line) => output.push(JSON.parse(line) as Printed)); // member.ts writes these
  return { child, output, mine: () => output[output.length - 1]?.mine ?? [], seen: () => output.flatMap(({ seen }) => seen) };
}

const sorted = (numbers: Iterable<number>): number[] => [...numbers].sort();
const areShared = (...members: readonly Iterable<number>[]): boolean => sorted(members.flatMap((one) => [...one])).join() === ALL.join();
const ownsAll = (seen: Seen): boolean => seen.mine.size === ALL.length && seen.subscription.isOwner();

async function write(log: EventLog, label: string): Promise<void> {
  for (const partition of ALL) await log.append(partition, records(`${label}-${partition}`, 5));
}

describe('Reading from Kafka', () => {
  test('is shared; who stays keeps what it had, and gets what others leave', skip, async () => {
    const topic = newTopic();
    const [one, two] = [await testLog(brokers, topic), await testLog(brokers, topic)];
    const first = readAll(one, 'shared');
    await eventually(() => ownsAll(first), 20_000);
    await write(one, 'alone');
    await eventually(() => first.ids.length === 20, 10_000);
    const begun = first.calls.length;

    const second = readAll(two, 'shared');
    await eventually(() => second.mine.size === 2 && areShared(first.mine, second.mine), 20_000);
    const [lost, ...more] = first.calls.slice(begun);
    assert.equal(lost, `lost ${sorted(second.mine).join(' ')}`, 'only what moves is lost');
    assert.deepEqual(more, [], 'and what is kept is not owned anew');
    await write(two, 'shared');
    await eventually(() => second.ids.length === 20 && first.ids.length === 30, 10_000);

    await two.close();
    await eventually(() => ownsAll(first), 10_000);
    assert.equal(first.calls.length, begun + 2);
    await write(one, 'again');
    await eventually(() => new Set(first.ids).size === 60, 10_000);
    assert.deepEqual(
      first.ids.filter((id, i) => first.ids.indexOf(id) !== i),
      [],
      'no record was delivered twice',
    );
    await one.close();
  });

  test('goes on elsewhere soon after a process was killed', skip, async () => {
    const topic = newTopic();
    const log = await testLog(brokers, topic);
    const stays = readAll(log, 'shared');
    const other = startMember(topic);
    await eventually(() => other.mine().length === 2 && areShared(stays.mine, other.mine()), 20_000);
    const kept = sorted(stays.mine);
    const begun = stays.calls.length;
    const killed = performance.now();
    other.child.kill('SIGKILL');
    await eventually(() => stays.mine.size === 4, SESSION_MS * 5);
    assert.ok(performance.now() - killed > SESSION_MS / 2, 'no member takes over before the session has ended');
    assert.deepEqual(stays.calls.slice(begun), [`owned ${ALL.filter((partition) => !kept.includes(partition)).join(' ')}`]);
    await log.close();
  });

  test('that was stopped for longer than a session finds that it has lost everything, before it owns anything anew', skip, async () => {
    const topic = newTopic();
    const log = await testLog(brokers, topic);
    const stays = readAll(log, 'shared');
    const zombie = startMember(topic);
    await eventually(() => zombie.mine().length === 2 && areShared(stays.mine, zombie.mine()), 20_000);
    const had = [...zombie.mine()];
    const begun = zombie.seen().length;
    zombie.child.kill('SIGSTOP');
    await eventually(() => stays.mine.size === 4, SESSION_MS * 5);
    zombie.child.kill('SIGCONT');
    await eventually(() => zombie.seen().length > begun + 1 && areShared(stays.mine, zombie.mine()), 20_000);
    const [lost, owned] = zombie.seen().slice(begun);
    assert.deepEqual(sorted((lost ?? '').replace('lost ', '').split(' ').map(Number)), sorted(had));
    assert.match(owned ?? '', /^owned/);
    await log.close();
  });

  test('says of every record when the broker took it, whatever the record itself says', skip, async () => {
    const log = await testLog(brokers, newTopic());
    const seen = readAll(log, 'times');
    const begunMs = Date.now();
    await log.append(0, records('made-long-ago', 3));
    await eventually(() => seen.ids.length === 3, 20_000);
    const endedMs = Date.now();
    for (const timeMs of seen.appendTimesMs) assert.ok(timeMs !== undefined && timeMs >= begunMs && timeMs <= endedMs, String(timeMs));
    await log.close();
  });

  test('does not take the times of the writers for those of the broker, in a topic that has them', skip, async () => {
    const topic = newTopic();
    const configEntries = [
      { name: 'message.timestamp.type', value: 'CreateTime' },
      { name: 'max.message.bytes', value: String(8 * 1024 * 1024) },
      { name: 'retention.ms', value: '3600000' },
    ];
    const admin = new kafkajs.Kafka({ brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
    await madeTopic(admin, { topic, numPartitions: ALL.length, configEntries });
    await admin.disconnect();
    const warnings: string[] = [];
    const log = await testLog(brokers, topic, { log: { ...silentLog, warn: (text) => void warnings.push(text) } });
    const seen = readAll(log, 'writers');
    await log.append(0, records('by-writer', 2));
    await eventually(() => seen.ids.length === 2, 20_000);
    assert.deepEqual(seen.appendTimesMs, [undefined, undefined]);
    assert.ok(
      warnings.some((text) => text.includes('message.timestamp.type=CreateTime')),
      warnings.join(),
    );
    await log.close();
  });

  test('keeps its partitions while it applies for longer than a session', skip, async () => {
    const log = await testLog(brokers, newTopic());
    let hold: Promise<unknown> = Promise.resolve();
    const seen = readAll(log, 'slow', async () => {
      await hold;
    });
    await eventually(() => ownsAll(seen), 20_000);
    hold = sleep(SESSION_MS * 1.5); // the time is the subject
    await write(log, 'slow');
    await eventually(() => seen.ids.length === 20, SESSION_MS * 4);
    assert.deepEqual(seen.calls, ['owned 0 1 2 3']);
    assert.equal(new Set(seen.ids).size, 20);
    await log.close();
  });

  test('reports all partitions as lost to a reader that failed, and begins where that one says', skip, async () => {
    const failures: string[] = [];
    const log = await testLog(brokers, newTopic(), { onFailure: (error) => failures.push(String(error)) });
    let failing = 3;
    const seen = readAll(log, 'failing', async () => {
      if (failing-- > 0) throw new Error('not now');
    });
    await write(log, 'failing');
    await eventually(() => seen.ids.length === 20, 20_000);
    assert.deepEqual(failures.filter((failure) => /not now/.test(failure)).length, 3);
    assert.equal(seen.calls.filter((call) => call === 'lost 0 1 2 3').length, 3);
    assert.equal(seen.calls[seen.calls.length - 1], 'owned 0 1 2 3');
    assert.equal(new Set(seen.ids).size, 20);
    await log.close();
  });

  test('whose offset is beyond the end of the log gets an error, and reads new records', skip, async () => {
    const failures: string[] = [];
    const log = await testLog(brokers, newTopic(), { onFailure: (error) => failures.push(String(error)) });
    await log.append(0, records('old', 3));
    const ids: string[] = [];
    const subscription = log.subscribe({
      name: 'ahead',
      owned: async () => new Map([[0, 1_000]]),
      apply: async (batches) => void ids.push(...batches.flatMap((batch) => batch.records.map((record) => record.eventId))),
      lost: () => undefined,
    });
    await eventually(() => failures.some((failure) => /ends at 3, before 1000/.test(failure)), 20_000);
    await log.append(0, records('new', 2));
    await eventually(() => ids.length === 2, 10_000);
    assert.deepEqual(ids, ['new-0', 'new-1']);
    await subscription.stop();
    assert.equal(subscription.isOwner(), false);
    await log.close();
  });
});
