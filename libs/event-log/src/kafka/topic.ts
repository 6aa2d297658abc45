import kafkajs, { type Admin } from 'kafkajs';
import { OperatorError } from '@evenfall/errors';
import type { Log } from '@evenfall/telemetry';
import type { TopicSettings } from './options.ts';

/** Largest batch the brokers take: what one partition gets in one flush, and a little. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024;
/** kafkajs has no snappy, lz4 or zstd. */
const READABLE = ['producer', 'uncompressed', 'gzip'];

/** Makes the topic if it is missing. One that is there must fit: an `OperatorError` says what does not, a warning what is unwise. */
export async function ensureTopic(admin: Admin, settings: TopicSettings, log: Log): Promise<void> {
  const { topic } = settings;
  if (!(await admin.listTopics()).includes(topic) && (await makeTopic(admin, settings))) {
    log.info('made the topic of the event log', { topic, partitions: settings.partitionCount });
  }
  const [found] = (await admin.fetchTopicMetadata({ topics: [topic] })).topics;
  const partitions = found?.partitions ?? [];
  if (partitions.length !== settings.partitionCount) {
    throw new OperatorError(
      `Topic ${topic} has ${partitions.length} partitions, not ${settings.partitionCount}: set EVENFALL_KAFKA_PARTITIONS to ${partitions.length}, or EVENFALL_KAFKA_TOPIC to another topic.`,
    );
  }
  const copies = Math.min(...partitions.map((partition) => partition.replicas.length));
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
  });
  const config = new Map(resources[0]?.configEntries.map((entry) => [entry.configName, entry.configValue]));
  for (const fault of faultsOf(config, settings)) throw new OperatorError(`Topic ${topic} ${fault}.`);
  for (const doubt of doubtsOf(config, copies, settings)) log.warn(`topic ${topic} ${doubt}`);
}

/** Whether it was this process that made it. */
async function makeTopic(admin: Admin, settings: TopicSettings): Promise<boolean> {
  const brokers = (await admin.describeCluster()).brokers.length;
  const replicationFactor = settings.replicationFactor ?? Math.min(3, brokers);
  if (replicationFactor > brokers) {
    throw new OperatorError(
      `EVENFALL_KAFKA_REPLICATION_FACTOR asks for ${replicationFactor} copies, and Kafka has ${brokers} broker${brokers === 1 ? '' : 's'}.`,
    );
  }
  const config = {
    'cleanup.policy': 'delete',
    'retention.ms': settings.retentionMs,
    'retention.bytes': -1,
    'min.insync.replicas': settings.minInsyncReplicas ?? Math.max(1, replicationFactor - 1),
    'compression.type': 'producer',
    'max.message.bytes': MAX_MESSAGE_BYTES,
    // Retention by the brokers' clocks: a writer whose clock is wrong deletes nothing.
    'message.timestamp.type': 'LogAppendTime',
  };
  return admin.createTopics({
    waitForLeaders: true,
    topics: [
      {
        topic: settings.topic,
        numPartitions: settings.partitionCount,
        replicationFactor,
        configEntries: Object.entries(config).map(([name, value]) => ({ name, value: String(value) })),
      },
    ],
  });
}

type Config = ReadonlyMap<string, string>;

/** With these the log would lose records, or could not be read or written. */
function* faultsOf(config: Config, { retentionMs }: TopicSettings): Iterable<string> {
  const cleanup = config.get('cleanup.policy') ?? 'delete';
  if (cleanup.includes('compact')) yield `has cleanup.policy=${cleanup}, which would remove records of events: set it to delete`;
  const compression = config.get('compression.type') ?? 'producer';
  if (!READABLE.includes(compression)) yield `has compression.type=${compression}, which cannot be read here: set it to producer`;
  const kept = Number(config.get('retention.ms') ?? -1);
  if (cleanup.includes('delete') && kept >= 0 && kept < retentionMs) {
    yield `has retention.ms=${kept}, less than the ${retentionMs} of EVENFALL_KAFKA_RETENTION: raise it, or set EVENFALL_KAFKA_RETENTION lower`;
  }
  const bytes = Number(config.get('max.message.bytes') ?? MAX_MESSAGE_BYTES);
  if (bytes < MAX_MESSAGE_BYTES) yield `has max.message.bytes=${bytes}: set it to at least ${MAX_MESSAGE_BYTES}`;
}

function* doubtsOf(config: Config, copies: number, settings: TopicSettings): Iterable<string> {
  const bytes = Number(config.get('retention.bytes') ?? -1);
  if (bytes >= 0) yield `has retention.bytes=${bytes}: records may go before their time`;
  if (settings.replicationFactor !== undefined && copies < settings.replicationFactor)
    yield `keeps ${copies} copies, not ${settings.replicationFactor}`;
  const times = config.get('message.timestamp.type') ?? 'CreateTime';
  if (times !== 'LogAppendTime')
    yield `has message.timestamp.type=${times}: who takes partitions over measures waiting times by the clocks of the queues; set it to LogAppendTime`;
  const insync = Number(config.get('min.insync.replicas') ?? 1);
  const asked = settings.minInsyncReplicas ?? Math.max(1, copies - 1);
  if (insync < asked) yield `has min.insync.replicas=${insync}: set it to ${asked}, or a record may be acknowledged by fewer brokers`;
  if (insync >= copies && copies > 1) yield `has as many min.insync.replicas as copies: with any broker away nothing can be written`;
}
