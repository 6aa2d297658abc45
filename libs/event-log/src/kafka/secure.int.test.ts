import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import kafkajs, { type Admin, type AclOperationTypes } from 'kafkajs';
import { OperatorError } from '@evenfall/errors';
import { eventually, tempDir } from '@evenfall/testkit';
import { freePort, type KafkaServer, startKafka, whyNoKafka } from '@evenfall/testkit/kafka';
import { readSettings } from '@evenfall/config';
import { silentLog } from '@evenfall/telemetry';
import { records } from '../event-log.contract.ts';
import type { EventLog } from '../port.ts';
import { openKafkaLog } from './driver.ts';
import { kafkaOptions } from './options.ts';
import { KAFKA_CHECKS, kafkaSettings } from './settings.ts';

const why = whyNoKafka();
if (why !== undefined && process.env['CI']) throw new Error(`Kafka cannot be tested: ${why}.`);
const PASSWORD = 'a-password-of-the-test';

/** By the settings a user would write: what they are made into is tested along with it. */
function open(brokers: string, env: Readonly<Record<string, string>>, openWithinMs = 60_000): Promise<EventLog> {
  const options = kafkaOptions(
    readSettings(kafkaSettings, { EVENFALL_KAFKA_BROKERS: brokers, EVENFALL_KAFKA_PARTITIONS: '2', ...env }, KAFKA_CHECKS),
  );
  assert.ok(options);
  return openKafkaLog({ ...options, log: silentLog, onFailure: () => undefined, openWithinMs });
}

/** A broker with a TLS listener that asks for a password, and the certificates that its clients trust. */
async function secureKafka(dir: string, hasAccessLists: boolean): Promise<{ server: KafkaServer; brokers: string; ca: string }> {
  const [file, ca] = [join(dir, 'broker.p12'), join(dir, 'ca.pem')];
  const store = ['-keystore', file, '-storepass', PASSWORD, '-alias', 'broker'];
  const made = ['-keyalg', 'RSA', '-storetype', 'PKCS12', '-validity', '2', '-dname', 'CN=127.0.0.1', '-ext', 'san=ip:127.0.0.1'];
  execFileSync('keytool', ['-genkeypair', ...store, ...made], { stdio: 'ignore' });
  execFileSync('keytool', ['-exportcert', '-rfc', ...store, '-file', ca], { stdio: 'ignore' });
  assert.match(readFileSync(ca, 'utf8'), /BEGIN CERTIFICATE/);
  const port = await freePort();
  const secure = { port, keystore: { file, password: PASSWORD }, user: { name: 'evenfall', password: PASSWORD }, hasAccessLists };
  return { server: await startKafka({ dir: join(dir, 'kafka'), secure }), brokers: `127.0.0.1:${port}`, ca };
}

describe('A Kafka that asks who comes, over TLS', { skip: why !== undefined }, () => {
  const dir = tempDir('secure-kafka');
  const ca = join(dir.path, 'ca.pem');
  let server: KafkaServer;
  let brokers = '';
  before(async () => {
    ({ server, brokers } = await secureKafka(dir.path, false));
  });
  after(async () => {
    await server.kill9();
    dir.remove();
  });
  const tls = { EVENFALL_KAFKA_TLS: 'true', EVENFALL_KAFKA_TLS_CA_FILE: ca };
  const as = (mechanism: string, password = PASSWORD) => ({
    EVENFALL_KAFKA_SASL_MECHANISM: mechanism,
    EVENFALL_KAFKA_SASL_USERNAME: 'evenfall',
    EVENFALL_KAFKA_SASL_PASSWORD: password,
  });

  for (const mechanism of ['plain', 'scram-sha-256']) {
    test(`is written and read by a client that logs in by ${mechanism}`, async () => {
      const log = await open(brokers, { ...tls, ...as(mechanism) });
      const end = await log.append(1, records(mechanism, 3));
      const seen: string[] = [];
      const subscription = log.subscribe({
        name: `reader-of-${mechanism}`,
        owned: async (partitions) => new Map(partitions.map((p) => [p, p === 1 ? end - 3 : Number.MAX_SAFE_INTEGER])),
        apply: async (batches) => void seen.push(...batches.flatMap((batch) => batch.records.map(({ eventId }) => eventId))),
        lost: () => undefined,
      });
      await eventually(() => seen.length === 3, 20_000);
      assert.equal((await log.endOffsets()).get(1), end);
      await subscription.stop();
      await log.close();
    });
  }

  const refused: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
    ['a wrong password', { ...tls, ...as('plain', 'another') }],
    ['no name at all', tls],
    ['an authority that did not sign its certificate', { EVENFALL_KAFKA_TLS: 'true', ...as('plain') }],
    ['no TLS', as('plain')],
  ];
  for (const [what, env] of refused) {
    test(`is not opened with ${what}, and the operator gets an error`, async () => {
      await assert.rejects(
        open(brokers, env, 2_000),
        (error) => error instanceof OperatorError && /EVENFALL_KAFKA_BROKERS/.test(error.message),
      );
    });
  }
});

describe('A Kafka that lets its user do only what is listed', { skip: why !== undefined }, () => {
  const dir = tempDir('listed-kafka');
  let kafka: Awaited<ReturnType<typeof secureKafka>>;
  let admin: Admin;
  before(async () => {
    kafka = await secureKafka(dir.path, true);
    admin = new kafkajs.Kafka({ brokers: [kafka.server.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
    await admin.connect();
  });
  after(async () => {
    await admin.disconnect();
    await kafka.server.kill9();
    dir.remove();
  });
  const env = (): Record<string, string> => ({
    EVENFALL_KAFKA_TLS: 'true',
    EVENFALL_KAFKA_TLS_CA_FILE: kafka.ca,
    EVENFALL_KAFKA_SASL_MECHANISM: 'scram-sha-256',
    EVENFALL_KAFKA_SASL_USERNAME: 'evenfall',
    EVENFALL_KAFKA_SASL_PASSWORD: PASSWORD,
  });
  const allow = async (topic: string, operations: readonly AclOperationTypes[]): Promise<void> => {
    const common = { principal: 'User:evenfall', host: '*', permissionType: kafkajs.AclPermissionTypes.ALLOW };
    const { TOPIC, GROUP } = kafkajs.AclResourceTypes;
    const { LITERAL, PREFIXED } = kafkajs.ResourcePatternTypes;
    await admin.createAcls({
      acl: [
        ...operations.map((operation) => ({
          ...common,
          operation,
          resourceType: TOPIC,
          resourceName: topic,
          resourcePatternType: LITERAL,
        })),
        {
          ...common,
          operation: kafkajs.AclOperationTypes.READ,
          resourceType: GROUP,
          resourceName: `${topic}.`,
          resourcePatternType: PREFIXED,
        },
      ],
    });
  };
  const { CREATE, DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE } = kafkajs.AclOperationTypes;

  test('is made a topic in, written and read with the rights that the guide names, and with none beyond its topic', async () => {
    await allow('evenfall.listed', [CREATE, DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE]);
    const log = await open(kafka.brokers, { ...env(), EVENFALL_KAFKA_TOPIC: 'evenfall.listed' });
    const end = await log.append(1, records('listed', 3));
    const seen: string[] = [];
    const subscription = log.subscribe({
      name: 'reader',
      owned: async (partitions) => new Map(partitions.map((p) => [p, p === 1 ? end - 3 : Number.MAX_SAFE_INTEGER])),
      apply: async (batches) => void seen.push(...batches.flatMap((batch) => batch.records.map(({ eventId }) => eventId))),
      lost: () => undefined,
    });
    await eventually(() => seen.length === 3, 20_000);
    await subscription.stop();
    await log.close();
    await admin.createTopics({ topics: [{ topic: 'of-others', numPartitions: 2 }] });
    await assert.rejects(open(kafka.brokers, { ...env(), EVENFALL_KAFKA_TOPIC: 'of-others' }, 2_000), OperatorError);
  });

  test('is read by a service that may not write, in its own group alone, once an operator has made the topic', async () => {
    const topic = 'evenfall.read-only';
    const maker = await openKafkaLog({
      connection: { brokers: [kafka.server.brokers] },
      topic: { topic, partitionCount: 2, retentionMs: 7 * 24 * 3_600_000 },
      log: silentLog,
      onFailure: () => undefined,
    });
    const end = await maker.append(1, records('listed', 3));
    const common = { principal: 'User:evenfall', host: '*', permissionType: kafkajs.AclPermissionTypes.ALLOW };
    const { TOPIC, GROUP } = kafkajs.AclResourceTypes;
    const { LITERAL } = kafkajs.ResourcePatternTypes;
    const of = (resourceType: typeof TOPIC | typeof GROUP, resourceName: string, operation: AclOperationTypes) => ({
      ...common,
      ...{ resourceType, resourceName, operation, resourcePatternType: LITERAL },
    });
    const listed = [DESCRIBE, DESCRIBE_CONFIGS, READ].map((operation) => of(TOPIC, topic, operation));
    await admin.createAcls({ acl: [...listed, of(GROUP, `${topic}.event-store`, READ)] });
    const log = await open(kafka.brokers, { ...env(), EVENFALL_KAFKA_TOPIC: topic });
    await assert.rejects(log.append(1, records('forged', 1)), 'it may not write');
    const seen: string[] = [];
    const owned: string[] = [];
    const read = (name: string) =>
      log.subscribe({
        name,
        owned: async (partitions) => {
          owned.push(name);
          return new Map(partitions.map((p) => [p, p === 1 ? end - 3 : Number.MAX_SAFE_INTEGER]));
        },
        apply: async (batches) => void seen.push(...batches.flatMap((batch) => batch.records.map(({ eventId }) => eventId))),
        lost: () => undefined,
      });
    const [queue, eventStore] = [read('queue'), read('event-store')];
    await eventually(() => seen.length === 3, 30_000);
    assert.deepEqual([...new Set(owned)], ['event-store'], 'the group of another service is closed to it');
    await Promise.all([queue.stop(), eventStore.stop()]);
    assert.equal((await maker.endOffsets()).get(1), end, 'nothing was written');
    await log.close();
    await maker.close();
  });

  for (const missing of ['CREATE', 'DESCRIBE_CONFIGS'] as const)
    test(`is not opened without ${missing} of a new topic, and the operator gets an error`, async () => {
      const topic = `evenfall.without-${missing.toLowerCase()}`;
      await allow(
        topic,
        [CREATE, DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE].filter((one) => one !== kafkajs.AclOperationTypes[missing]),
      );
      await assert.rejects(open(kafka.brokers, { ...env(), EVENFALL_KAFKA_TOPIC: topic }, 2_000), OperatorError);
    });
});
