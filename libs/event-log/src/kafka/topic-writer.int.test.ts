import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import kafkajs from 'kafkajs';
import { silentLog } from '@evenfall/telemetry';
import { eventually } from '@evenfall/testkit';
import { madeTopic, testKafka, type TestKafka } from '@evenfall/testkit/kafka';
import { MessageRefused, openTopicWriter, type TopicMessage, type TopicWriter } from './index.ts';
import { newTopic } from './testing/open.ts';

describe('A writer for other topics, in a real Kafka', async () => {
  const kafka: TestKafka | undefined = await testKafka();
  const skip = kafka === undefined;
  const client = new kafkajs.Kafka({ brokers: [kafka?.brokers ?? ''], logLevel: kafkajs.logLevel.NOTHING });
  const admin = client.admin();
  let writer: TopicWriter;
  const message = (topic: string, more: Partial<TopicMessage> = {}): TopicMessage => ({
    topic,
    key: 'an id',
    value: Buffer.from('{}'),
    headers: {},
    ...more,
  });

  before(async () => {
    if (!kafka) return;
    writer = openTopicWriter({ connection: { brokers: [kafka.brokers] }, logTopic: 'the-log', log: silentLog });
    await admin.connect();
  });
  after(async () => {
    await writer?.close();
    await admin.disconnect();
    await kafka?.stop();
  });

  it('writes key, value and headers', { skip }, async () => {
    const topic = newTopic();
    await madeTopic(admin, { topic, numPartitions: 1 });
    await writer.send(message(topic, { headers: { traceparent: '00-a-b-01' } }));
    const consumer = client.consumer({ groupId: topic });
    const found: { key: string; value: string; trace: string }[] = [];
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ message: { key, value, headers } }) =>
        void found.push({ key: String(key), value: String(value), trace: String(headers?.['traceparent']) }),
    });
    await eventually(() => found.length > 0, 20_000);
    await consumer.disconnect();
    assert.deepEqual(found, [{ key: 'an id', value: '{}', trace: '00-a-b-01' }]);
  });

  it('says what never will be taken, and may be asked again about the rest', { skip }, async () => {
    const small = newTopic();
    await madeTopic(admin, { topic: small, numPartitions: 1, configEntries: [{ name: 'max.message.bytes', value: '1000' }] });
    await assert.rejects(writer.send(message(small, { value: Buffer.alloc(5_000) })), MessageRefused);
    await assert.rejects(writer.send(message('the-log')), MessageRefused);
    const missing = newTopic();
    await assert.rejects(writer.send(message(missing)), (error) => !(error instanceof MessageRefused));
    assert.ok(!(await admin.listTopics()).includes(missing), 'it makes no topic');
    await writer.send(message(small));
    await madeTopic(admin, { topic: missing, numPartitions: 1 });
    await eventually(async () => {
      await writer.send(message(missing));
      return true;
    }, 20_000);
  });
});
