import { randomBytes } from 'node:crypto';

/** The secrets of a deployment: made once, and kept beside its authority. */
export type Secrets = {
  /** Of the superuser of Postgres, which no service uses. */
  readonly postgresPassword: string;
  /** Of the roles in Postgres, each of which owns one schema. */
  readonly registryPassword: string;
  readonly eventStorePassword: string;
  /** Of the users in Kafka: the administrator, who creates the topic and the access lists, and one for each service. */
  readonly kafkaAdminPassword: string;
  readonly kafkaQueuePassword: string;
  readonly kafkaEventStorePassword: string;
  readonly metricsToken: string;
  /** "id:secret", for the callers of the gateway. */
  readonly accessKey: string;
  readonly sealingKey: string;
};

/** Containers with secrets that are neither services nor agents: Postgres, Kafka, and the one that creates the access lists of Kafka. */
export const POSTGRES = 'postgres';
export const KAFKA = 'kafka';
export const KAFKA_ADMIN = 'kafka-admin';
export const OTHERS: readonly string[] = [POSTGRES, KAFKA, KAFKA_ADMIN];

const hex = (bytes: number): string => randomBytes(bytes).toString('hex');

export function makeSecrets(): Secrets {
  return {
    postgresPassword: hex(24),
    registryPassword: hex(24),
    eventStorePassword: hex(24),
    kafkaAdminPassword: hex(24),
    kafkaQueuePassword: hex(24),
    kafkaEventStorePassword: hex(24),
    metricsToken: hex(24),
    accessKey: `ops:${hex(24)}`,
    sealingKey: hex(32),
  };
}

/** User → password, of Kafka. */
export function kafkaUsers(secrets: Secrets): Readonly<Record<string, string>> {
  return { admin: secrets.kafkaAdminPassword, queue: secrets.kafkaQueuePassword, 'event-store': secrets.kafkaEventStorePassword };
}

/** The variables of one container that are secret: no more than it reads. */
export function secretSettings(identity: string, secrets: Secrets): Readonly<Record<string, string>> {
  const postgres = (role: string, password: string) => ({
    EVENFALL_POSTGRES_URL: `postgres://${role}:${password}@postgres:5432/evenfall?sslmode=verify-full&sslrootcert=/run/identity/ca.pem`,
  });
  const kafka = (user: string) => ({
    EVENFALL_KAFKA_SASL_MECHANISM: 'scram-sha-512',
    EVENFALL_KAFKA_SASL_USERNAME: user,
    EVENFALL_KAFKA_SASL_PASSWORD: kafkaUsers(secrets)[user] ?? '',
  });
  if (identity === KAFKA_ADMIN) return kafka('admin');
  const own: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    registry: { ...postgres('evenfall_registry', secrets.registryPassword), EVENFALL_SEALING_KEY: secrets.sealingKey },
    'event-store': { ...postgres('evenfall_event_store', secrets.eventStorePassword), ...kafka('event-store') },
    queue: kafka('queue'),
    gateway: { EVENFALL_ACCESS_KEYS: secrets.accessKey },
  };
  return { EVENFALL_METRICS_TOKEN: secrets.metricsToken, ...own[identity] };
}
