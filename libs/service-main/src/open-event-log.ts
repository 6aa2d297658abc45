import { type EventLog, openEmbeddedLog } from '@evenfall/event-log';
import { kafkaOptions, type KafkaSettings, openKafkaLog, openTopicWriter, type TopicWriter } from '@evenfall/event-log/kafka';
import type { Sql } from '@evenfall/postgres';
import { createRepeats, type Log } from '@evenfall/telemetry';

/** What opening the log may need. */
export type EventLogDeps = {
  /** The pools the embedded log is kept with, for appending one of a single connection; asked for only if it is the embedded one. */
  readonly pool: (use: 'reading' | 'appending') => Sql | Promise<Sql>;
  readonly log: Log;
  /** Whether other processes read the embedded log. Default true. */
  readonly isShared?: boolean;
  /** How long to wait for a broker. Default 30 s. */
  readonly openWithinMs?: number;
};

/** What is tried again is tried several times a second: of failures at the same thing one is said, and the next after this. */
const SILENCE_MS = 30_000;

/** Opens the event log the settings name: Kafka where there are brokers, else the embedded one. The one place where the driver is chosen. */
export async function openEventLog(settings: KafkaSettings, deps: EventLogDeps): Promise<EventLog> {
  const { log, openWithinMs } = deps;
  const failures = createRepeats(SILENCE_MS);
  const onFailure = (error: unknown, doing: string): void => {
    const count = failures.note(doing);
    if (count !== undefined) log.error(doing, error, { count });
  };
  const kafka = kafkaOptions(settings);
  if (kafka) return openKafkaLog({ ...kafka, log, onFailure, ...(openWithinMs === undefined ? {} : { openWithinMs }) });
  const [sql, appendSql] = [await deps.pool('reading'), await deps.pool('appending')];
  return openEmbeddedLog({ sql, appendSql, onFailure, isShared: deps.isShared ?? true });
}

/** Opens a writer for topics other than the log's; undefined where there is no Kafka. */
export function openTopics(settings: KafkaSettings, log: Log): TopicWriter | undefined {
  const kafka = kafkaOptions(settings);
  return kafka && openTopicWriter({ connection: kafka.connection, logTopic: kafka.topic.topic, log });
}
