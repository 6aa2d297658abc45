// node tools/setup/kafka-rights.ts: creates, as the administrator of Kafka, the topic of the event log and the access lists of its users (deploy/compose).
// It changes nothing that exists: it can run at every start.
import { readSettings } from '@evenfall/config';
import { KAFKA_CHECKS, kafkaOptions, kafkaSettings, openKafkaLog } from '@evenfall/event-log/kafka';
import { silentLog } from '@evenfall/telemetry';
import kafkajs, { type AclEntry } from 'kafkajs';

/** Functions may name topics with this prefix as destinations. */
const DESTINATIONS = 'functions.';

const settings = readSettings(kafkaSettings, process.env, KAFKA_CHECKS);
const options = kafkaOptions(settings);
if (!options) throw new Error('EVENFALL_KAFKA_BROKERS is not set');
const eventLog = await openKafkaLog({ ...options, log: silentLog, onFailure: () => undefined, openWithinMs: 60_000 });
await eventLog.close();

const { TOPIC, GROUP } = kafkajs.AclResourceTypes;
const { LITERAL, PREFIXED } = kafkajs.ResourcePatternTypes;
const { DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE } = kafkajs.AclOperationTypes;
type Pattern = Pick<AclEntry, 'resourceType' | 'resourceName' | 'resourcePatternType'>;
const allow = (user: string, pattern: Pattern, operations: readonly AclEntry['operation'][]): AclEntry[] =>
  operations.map((operation) => ({
    ...pattern,
    ...{ principal: `User:${user}`, host: '*', operation, permissionType: kafkajs.AclPermissionTypes.ALLOW },
  }));
const topic: Pattern = { resourceType: TOPIC, resourceName: settings.kafkaTopic, resourcePatternType: LITERAL };
const group = (name: string): Pattern => ({
  resourceType: GROUP,
  resourceName: `${settings.kafkaTopic}.${name}`,
  resourcePatternType: LITERAL,
});
const destinations: Pattern = { resourceType: TOPIC, resourceName: DESTINATIONS, resourcePatternType: PREFIXED };
const acl = [
  ...allow('queue', topic, [DESCRIBE, DESCRIBE_CONFIGS, READ, WRITE]),
  ...allow('queue', group('queue'), [READ]),
  ...allow('queue', destinations, [DESCRIBE, WRITE]),
  ...allow('event-store', topic, [DESCRIBE, DESCRIBE_CONFIGS, READ]),
  ...allow('event-store', group('event-store'), [READ]),
];
const { brokers, tls, sasl } = options.connection;
const admin = new kafkajs.Kafka({
  brokers: [...brokers],
  ...(tls ? { ssl: tls } : {}),
  ...(sasl ? { sasl: sasl as kafkajs.SASLOptions } : {}), // its three mechanisms have the same fields
  logLevel: kafkajs.logLevel.NOTHING,
}).admin();
await admin.connect();
await admin.createAcls({ acl });
await admin.disconnect();
process.stdout.write(`evenfall kafka-rights: ${acl.length} rights on ${settings.kafkaTopic}\n`);
