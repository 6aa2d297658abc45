import { readFileSync } from 'node:fs';
import { OperatorError } from '@evenfall/errors';
import type { Log } from '@evenfall/telemetry';
import type { KafkaSettings } from './settings.ts';

/** How brokers are reached. */
export type KafkaConnection = {
  /** `host:port` each. */
  readonly brokers: readonly string[];
  /** PEM texts; an empty object is TLS with the authorities that Node trusts. Absent: no TLS. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string };
  readonly sasl?: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
};

/** What the topic is to be. */
export type TopicSettings = {
  readonly topic: string;
  readonly partitionCount: number;
  /** Absent: 3, or as many as there are brokers. */
  readonly replicationFactor?: number;
  /** Absent: one less than there are copies, and at least 1. */
  readonly minInsyncReplicas?: number;
  readonly retentionMs: number;
};

export type KafkaLogOptions = {
  readonly connection: KafkaConnection;
  readonly topic: TopicSettings;
  readonly compression?: 'none' | 'gzip';
  /** How long opening waits for a broker that answers. Default 30 s. */
  readonly openWithinMs?: number;
  /** How long an append or a question for the ends may take before it is refused. Default 5 s. */
  readonly deadlineMs?: number;
  /** How long a reader may be silent before its partitions go to others. Default 10 s. */
  readonly sessionTimeoutMs?: number;
  /** Default 1 s. A rebalance is noticed after so long at the latest. */
  readonly heartbeatIntervalMs?: number;
  /** How long a rebalance waits for a reader. Default 20 s. */
  readonly rebalanceTimeoutMs?: number;
  /** How long a fetch waits for something to come. Default 250 ms. */
  readonly maxWaitMs?: number;
  /** Log lines of kafkajs go to its `debug`. */
  readonly log: Log;
  /** Called for failures that are tried again. */
  readonly onFailure: (error: unknown, doing: string) => void;
};

/** Options of the Kafka log from the settings; undefined if no brokers are named. Throws an `OperatorError` if a file cannot be read. */
export function kafkaOptions(settings: KafkaSettings): Pick<KafkaLogOptions, 'connection' | 'topic' | 'compression'> | undefined {
  const { kafkaBrokers, kafkaSaslMechanism, kafkaSaslUsername, kafkaSaslPassword } = settings;
  if (kafkaBrokers === undefined) return undefined;
  return {
    connection: {
      brokers: kafkaBrokers,
      ...(settings.kafkaTls ? { tls: tlsOf(settings) } : {}),
      ...(kafkaSaslMechanism && kafkaSaslUsername !== undefined && kafkaSaslPassword !== undefined
        ? { sasl: { mechanism: kafkaSaslMechanism, username: kafkaSaslUsername, password: kafkaSaslPassword } }
        : {}),
    },
    topic: {
      topic: settings.kafkaTopic,
      partitionCount: settings.kafkaPartitions,
      ...(settings.kafkaReplicationFactor === undefined ? {} : { replicationFactor: settings.kafkaReplicationFactor }),
      ...(settings.kafkaMinInsyncReplicas === undefined ? {} : { minInsyncReplicas: settings.kafkaMinInsyncReplicas }),
      retentionMs: settings.kafkaRetentionMs,
    },
    compression: settings.kafkaCompression,
  };
}

function tlsOf(settings: KafkaSettings): NonNullable<KafkaConnection['tls']> {
  const { kafkaTlsCaFile, kafkaTlsCertFile, kafkaTlsKeyFile } = settings;
  return {
    ...(kafkaTlsCaFile === undefined ? {} : { ca: read(kafkaTlsCaFile, 'EVENFALL_KAFKA_TLS_CA_FILE') }),
    ...(kafkaTlsCertFile === undefined ? {} : { cert: read(kafkaTlsCertFile, 'EVENFALL_KAFKA_TLS_CERT_FILE') }),
    ...(kafkaTlsKeyFile === undefined ? {} : { key: read(kafkaTlsKeyFile, 'EVENFALL_KAFKA_TLS_KEY_FILE') }),
  };
}

function read(file: string, setting: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new OperatorError(`The file ${file} of ${setting} cannot be read: ${cause instanceof Error ? cause.message : String(cause)}.`, {
      cause,
    });
  }
}
