import { randomBytes } from 'node:crypto';

/** The secrets of a deployment: made once, and kept beside its authority. */
export type Secrets = {
  /** Of Postgres' superuser, which no service is. */
  readonly postgresPassword: string;
  /** Of the role that registry and event-store are. */
  readonly appPassword: string;
  readonly metricsToken: string;
  /** "id:secret", for the callers of the gateway. */
  readonly accessKey: string;
  readonly sealingKey: string;
};

/** What a container is given: a service or agent by its identity, or the database. */
export const POSTGRES = 'postgres';

const hex = (bytes: number): string => randomBytes(bytes).toString('hex');

export function makeSecrets(): Secrets {
  return {
    postgresPassword: hex(24),
    appPassword: hex(24),
    metricsToken: hex(24),
    accessKey: `ops:${hex(24)}`,
    sealingKey: hex(32),
  };
}

/** The variables of one service or agent that are secret: no more than it reads. */
export function secretSettings(identity: string, secrets: Secrets): Readonly<Record<string, string>> {
  const postgres = { EVENFALL_POSTGRES_URL: `postgres://evenfall_app:${secrets.appPassword}@postgres:5432/evenfall` };
  const own: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    registry: { ...postgres, EVENFALL_SEALING_KEY: secrets.sealingKey },
    'event-store': postgres,
    gateway: { EVENFALL_ACCESS_KEYS: secrets.accessKey },
  };
  return { EVENFALL_METRICS_TOKEN: secrets.metricsToken, ...own[identity] };
}
