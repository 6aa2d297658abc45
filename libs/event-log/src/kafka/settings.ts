import { choice, duration, flag, integer, list, type SettingsCheck, type SettingsOf, text } from '@evenfall/config';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** What a process that uses the Kafka log reads from the environment. Loads nothing of Kafka itself. */
export const kafkaSettings = {
  kafkaBrokers: list({
    name: 'EVENFALL_KAFKA_BROKERS',
    doc: 'Brokers to begin with; the others are found through them. Unset: the embedded log.',
    fallback: undefined,
    pattern: /^([\w.-]+|\[[\da-fA-F:]+\]):\d{1,5}$/,
    form: '"host:port", comma-separated',
  }),
  kafkaTopic: text({
    name: 'EVENFALL_KAFKA_TOPIC',
    doc: 'Topic of the event log; made if missing. Also the beginning of the names of its consumer groups.',
    fallback: 'evenfall.events',
    pattern: /^[\w.-]{1,200}$/,
    form: 'letters, digits, ".", "_" and "-"',
  }),
  kafkaPartitions: integer({
    name: 'EVENFALL_KAFKA_PARTITIONS',
    doc: 'Partitions of the topic: as many processes can share the work of one service. Cannot be changed later.',
    fallback: '12',
    min: 1,
    max: 1_000,
  }),
  kafkaReplicationFactor: integer({
    name: 'EVENFALL_KAFKA_REPLICATION_FACTOR',
    doc: 'Copies of every record, when the topic is made. Unset: 3, or as many as there are brokers.',
    fallback: undefined,
    min: 1,
    max: 9,
  }),
  kafkaMinInsyncReplicas: integer({
    name: 'EVENFALL_KAFKA_MIN_INSYNC_REPLICAS',
    doc: 'Copies that must be written before an event counts as accepted, when the topic is made. Unset: one less than there are copies, and at least 1.',
    fallback: undefined,
    min: 1,
    max: 9,
  }),
  kafkaRetentionMs: duration({
    name: 'EVENFALL_KAFKA_RETENTION',
    doc: 'How long the topic must keep records. The view is rebuilt from it: longer than an event may wait, run and be shown together.',
    fallback: '168h',
    minMs: HOUR_MS,
    maxMs: 365 * DAY_MS,
  }),
  kafkaCompression: choice({
    name: 'EVENFALL_KAFKA_COMPRESSION',
    doc: 'Compression of what is written. gzip takes a third of the space and several times the CPU.',
    fallback: 'none',
    choices: ['none', 'gzip'],
  }),
  kafkaTls: flag({ name: 'EVENFALL_KAFKA_TLS', doc: 'Whether to connect to brokers over TLS.', fallback: 'false' }),
  kafkaTlsCaFile: text({
    name: 'EVENFALL_KAFKA_TLS_CA_FILE',
    doc: 'PEM file of the authority that signed the brokers’ certificates. Unset: those that Node trusts.',
    fallback: undefined,
  }),
  kafkaTlsCertFile: text({ name: 'EVENFALL_KAFKA_TLS_CERT_FILE', doc: 'PEM file of a client certificate.', fallback: undefined }),
  kafkaTlsKeyFile: text({ name: 'EVENFALL_KAFKA_TLS_KEY_FILE', doc: 'PEM file of its key.', fallback: undefined }),
  kafkaSaslMechanism: choice({
    name: 'EVENFALL_KAFKA_SASL_MECHANISM',
    doc: 'How to log in. Unset: not at all.',
    fallback: undefined,
    choices: ['plain', 'scram-sha-256', 'scram-sha-512'],
  }),
  kafkaSaslUsername: text({ name: 'EVENFALL_KAFKA_SASL_USERNAME', doc: 'Name to log in with.', fallback: undefined }),
  kafkaSaslPassword: text({
    name: 'EVENFALL_KAFKA_SASL_PASSWORD',
    doc: 'Password to log in with.',
    fallback: undefined,
    secret: true,
  }),
};

export type KafkaSettings = SettingsOf<typeof kafkaSettings>;

/** What they must be together. */
export const KAFKA_CHECKS: readonly SettingsCheck<typeof kafkaSettings>[] = [
  {
    of: ['kafkaSaslMechanism', 'kafkaSaslUsername', 'kafkaSaslPassword'],
    fault({ kafkaSaslMechanism, kafkaSaslUsername, kafkaSaslPassword }) {
      const given = [kafkaSaslMechanism, kafkaSaslUsername, kafkaSaslPassword].filter((one) => one !== undefined).length;
      if (given === 0 || given === 3) return undefined;
      return 'EVENFALL_KAFKA_SASL_MECHANISM, EVENFALL_KAFKA_SASL_USERNAME and EVENFALL_KAFKA_SASL_PASSWORD: write all of them, or none';
    },
  },
  {
    of: ['kafkaTls', 'kafkaTlsCaFile', 'kafkaTlsCertFile', 'kafkaTlsKeyFile'],
    fault({ kafkaTls, kafkaTlsCaFile, kafkaTlsCertFile, kafkaTlsKeyFile }) {
      const files = [kafkaTlsCaFile, kafkaTlsCertFile, kafkaTlsKeyFile].some((one) => one !== undefined);
      if (files && !kafkaTls) return 'EVENFALL_KAFKA_TLS_…_FILE: of no use unless EVENFALL_KAFKA_TLS=true';
      if ((kafkaTlsCertFile === undefined) === (kafkaTlsKeyFile === undefined)) return undefined;
      return 'EVENFALL_KAFKA_TLS_CERT_FILE and EVENFALL_KAFKA_TLS_KEY_FILE: write both, or none';
    },
  },
  {
    of: ['kafkaReplicationFactor', 'kafkaMinInsyncReplicas'],
    fault({ kafkaReplicationFactor, kafkaMinInsyncReplicas }) {
      if ((kafkaMinInsyncReplicas ?? 1) <= (kafkaReplicationFactor ?? 9)) return undefined;
      return 'EVENFALL_KAFKA_MIN_INSYNC_REPLICAS is above EVENFALL_KAFKA_REPLICATION_FACTOR: nothing could be written';
    },
  },
];
