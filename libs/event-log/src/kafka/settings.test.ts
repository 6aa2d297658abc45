import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readSettings, SettingsError } from '@evenfall/config';
import { kafkaOptions } from './options.ts';
import { KAFKA_CHECKS, kafkaSettings } from './settings.ts';

type Env = Readonly<Record<string, string>>;
const read = (env: Env) => readSettings(kafkaSettings, env, KAFKA_CHECKS);
const faultsOf = (env: Env): readonly string[] => {
  try {
    read(env);
    return [];
  } catch (error) {
    assert.ok(error instanceof SettingsError);
    return error.faults;
  }
};

describe('The settings of Kafka', () => {
  it('name brokers, or leave Kafka alone', () => {
    assert.equal(kafkaOptions(read({})), undefined);
    assert.deepEqual(kafkaOptions(read({ EVENFALL_KAFKA_BROKERS: 'a:9092, [::1]:9093' })), {
      connection: { brokers: ['a:9092', '[::1]:9093'] },
      topic: { topic: 'evenfall.events', partitionCount: 12, retentionMs: 7 * 24 * 3_600_000 },
      compression: 'none',
    });
    assert.match(faultsOf({ EVENFALL_KAFKA_BROKERS: 'a,b:1' })[0] ?? '', /write "host:port", comma-separated/);
  });

  it('log in completely, or not at all', () => {
    assert.match(faultsOf({ EVENFALL_KAFKA_SASL_USERNAME: 'u' })[0] ?? '', /write all of them, or none/);
    const env = { EVENFALL_KAFKA_SASL_MECHANISM: 'scram-sha-256', EVENFALL_KAFKA_SASL_USERNAME: 'u', EVENFALL_KAFKA_SASL_PASSWORD: 'p' };
    assert.deepEqual(kafkaOptions(read({ ...env, EVENFALL_KAFKA_BROKERS: 'a:1' }))?.connection.sasl, {
      mechanism: 'scram-sha-256',
      username: 'u',
      password: 'p',
    });
  });

  it('say which file of TLS is of no use, and which cannot be read', () => {
    assert.match(faultsOf({ EVENFALL_KAFKA_TLS_CA_FILE: '/ca' })[0] ?? '', /of no use unless EVENFALL_KAFKA_TLS=true/);
    assert.match(faultsOf({ EVENFALL_KAFKA_TLS: 'true', EVENFALL_KAFKA_TLS_CERT_FILE: '/c' })[0] ?? '', /write both, or none/);
    const settings = read({ EVENFALL_KAFKA_BROKERS: 'a:1', EVENFALL_KAFKA_TLS: 'true', EVENFALL_KAFKA_TLS_CA_FILE: '/nowhere/ca.pem' });
    assert.throws(() => kafkaOptions(settings), /^OperatorError: The file \/nowhere\/ca\.pem of EVENFALL_KAFKA_TLS_CA_FILE cannot be read/);
  });

  it('do not ask for more written copies than there are', () => {
    const env = { EVENFALL_KAFKA_REPLICATION_FACTOR: '2', EVENFALL_KAFKA_MIN_INSYNC_REPLICAS: '3' };
    assert.match(faultsOf(env)[0] ?? '', /nothing could be written/);
  });
});
