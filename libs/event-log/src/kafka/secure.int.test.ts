import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
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
function open(brokers: string, env: Readonly<Record<string, string>>): Promise<EventLog> {
  const options = kafkaOptions(
    readSettings(kafkaSettings, { EVENFALL_KAFKA_BROKERS: brokers, EVENFALL_KAFKA_PARTITIONS: '2', ...env }, KAFKA_CHECKS),
  );
  assert.ok(options);
  return openKafkaLog({ ...options, log: silentLog, onFailure: () => undefined, openWithinMs: 2_000 });
}

describe('A Kafka that asks who comes, over TLS', { skip: why !== undefined }, () => {
  const dir = tempDir('secure-kafka');
  const ca = join(dir.path, 'ca.pem');
  let server: KafkaServer;
  let brokers = '';
  before(async () => {
    const file = join(dir.path, 'broker.p12');
    const store = ['-keystore', file, '-storepass', PASSWORD, '-alias', 'broker'];
    const made = ['-keyalg', 'RSA', '-storetype', 'PKCS12', '-validity', '2', '-dname', 'CN=127.0.0.1', '-ext', 'san=ip:127.0.0.1'];
    execFileSync('keytool', ['-genkeypair', ...store, ...made], { stdio: 'ignore' });
    execFileSync('keytool', ['-exportcert', '-rfc', ...store, '-file', ca], { stdio: 'ignore' });
    assert.match(readFileSync(ca, 'utf8'), /BEGIN CERTIFICATE/);
    const port = await freePort();
    const secure = { port, keystore: { file, password: PASSWORD }, user: { name: 'evenfall', password: PASSWORD } };
    server = await startKafka({ dir: join(dir.path, 'kafka'), secure });
    brokers = `127.0.0.1:${port}`;
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
    test(`is written and read by one who logs in by ${mechanism}`, async () => {
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
    test(`is not opened with ${what}, and the operator is told`, async () => {
      await assert.rejects(open(brokers, env), (error) => error instanceof OperatorError && /EVENFALL_KAFKA_BROKERS/.test(error.message));
    });
  }
});
