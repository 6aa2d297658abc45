import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import kafkajs from 'kafkajs';
import { OperatorError } from '@evenfall/errors';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { madeTopic, testKafka } from '@evenfall/testkit/kafka';
import { eventLogContract, type LogUnderTest, records } from '../event-log.contract.ts';
import { endOf, logLimitsContract } from '../limits.contract.ts';
import { RecordsRefused } from '../refused.ts';
import { createClient } from './client.ts';
import { closeLogs, newTopic, readAll, testLog } from './testing/open.ts';

const kafka = await testKafka();
after(() => kafka?.stop());

if (kafka) {
  const underTest = async (): Promise<LogUnderTest> => {
    const topic = newTopic();
    return {
      open: () => testLog(kafka.brokers, topic, { deadlineMs: 5_000 }),
      close: () => Promise.resolve(),
    };
  };
  eventLogContract('kafka', underTest);
  logLimitsContract('kafka', underTest);
}

describe('Opening the log in Kafka', { skip: kafka === undefined }, () => {
  const brokers = kafka?.brokers ?? '';
  const client = createClient({ connection: { brokers: [brokers] }, requestTimeoutMs: 5_000, retry: { retries: 5 }, log: silentLog });
  const admin = client.kafka.admin();
  before(() => admin.connect());
  after(async () => {
    await closeLogs();
    await admin.disconnect();
    client.kill();
  });
  const make = async (configEntries: Readonly<Record<string, string>>, numPartitions = 4): Promise<string> => {
    const topic = newTopic();
    const entries = Object.entries({ 'max.message.bytes': '8388608', ...configEntries }).map(([name, value]) => ({ name, value }));
    await madeTopic(admin, { topic, numPartitions, configEntries: entries });
    return topic;
  };
  const assertFault = (topic: string, sentence: RegExp): Promise<void> =>
    assert.rejects(testLog(brokers, topic), (error) => error instanceof OperatorError && sentence.test(error.message));

  test('makes the topic as it has to be, also if two do it at once', async () => {
    const topic = newTopic();
    await Promise.all([testLog(brokers, topic), testLog(brokers, topic)]);
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
    });
    const config = Object.fromEntries(resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]) ?? []);
    assert.equal(config['cleanup.policy'], 'delete');
    assert.equal(config['retention.ms'], '3600000');
    assert.equal(config['min.insync.replicas'], '1');
    assert.equal(config['max.message.bytes'], '8388608');
    assert.equal(config['message.timestamp.type'], 'LogAppendTime');
  });

  test('refuses a topic that would lose records or cannot be read', async () => {
    await assertFault(await make({}, 3), /has 3 partitions, not 4: set EVENFALL_KAFKA_PARTITIONS to 3/);
    await assertFault(await make({ 'cleanup.policy': 'compact' }), /cleanup\.policy=compact/);
    await assertFault(await make({ 'compression.type': 'lz4' }), /compression\.type=lz4, which cannot be read here/);
    await assertFault(await make({ 'retention.ms': '60000' }), /retention\.ms=60000, less than the 3600000 of EVENFALL_KAFKA_RETENTION/);
    await assertFault(await make({ 'max.message.bytes': '1000000' }), /max\.message\.bytes=1000000: set it to at least/);
  });

  test('warns of a topic that is unwise', async () => {
    const warnings: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void warnings.push(message) };
    await testLog(brokers, await make({ 'retention.bytes': '1000000' }), { log });
    assert.match(warnings[0] ?? '', /retention\.bytes=1000000: records may go before their time/);
  });

  test('says which brokers cannot be reached', async () => {
    const opening = testLog('127.0.0.1:1', newTopic(), { openWithinMs: 500 });
    await assert.rejects(opening, /^OperatorError: The Kafka of EVENFALL_KAFKA_BROKERS \(127\.0\.0\.1:1\) cannot be used: /);
  });

  test('reads what was written compressed', async () => {
    const log = await testLog(brokers, newTopic(), { compression: 'gzip' });
    const seen = readAll(log, 'gzip');
    await log.append(1, records('small', 500));
    await eventually(() => seen.ids.length === 500, 20_000);
  });

  test('what the brokers refuse for good is said so, and appends beside it are written', async () => {
    const topic = await make({});
    const log = await testLog(brokers, topic);
    await admin.alterConfigs({
      validateOnly: false,
      resources: [
        { type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries: [{ name: 'max.message.bytes', value: '100000' }] },
      ],
    });
    const appends = [log.append(0, records('a', 2)), log.append(0, [endOf('large', 200_000)]), log.append(1, records('b', 2))];
    const [before, refused, beside] = await Promise.allSettled(appends);
    assert.deepEqual([before?.status, beside?.status], ['fulfilled', 'fulfilled']);
    assert.ok(refused?.status === 'rejected' && refused.reason instanceof RecordsRefused);
  });

  test('a message that is no record is handed on beside the records', async () => {
    const topic = await make({});
    const log = await testLog(brokers, topic);
    await log.append(0, records('before', 1));
    const producer = client.kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    await producer.send({ topic, messages: [{ partition: 0, value: Buffer.from('no record at all') }] });
    await producer.disconnect();
    await log.append(0, records('after', 1));
    const read = readAll(log, 'broken');
    await eventually(() => read.ids.length === 3, 20_000);
    assert.deepEqual(read.ids, ['before-0', '', 'after-0']);
  });
});
