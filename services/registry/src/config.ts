import { integer, readSettings } from '@evenfall/config';
import {
  HOST_CHECK,
  kafkaSettings,
  portsCheck,
  TLS_CHECK,
  POSTGRES_CHECK,
  postgresSettings,
  privateServerSettings,
  webhookSettings,
} from '@evenfall/service-main/settings';

/** What the registry reads from the environment, wherever it runs. */
export const registrySettings = {
  concurrencyMb: integer({
    name: 'EVENFALL_CONCURRENCY_MB',
    doc: 'Memory the instances of all functions may have together, in megabytes; of it concurrency is reserved and provisioned.',
    fallback: '128000',
    min: 1_280,
    max: 1_000_000_000,
  }),
};

/** Everything the registry reads as a process of its own. */
export const registryProcess = {
  ...privateServerSettings('registry'),
  ...postgresSettings,
  ...webhookSettings,
  ...registrySettings,
  // It speaks to no broker: it refuses topics as destinations where there is none, and the event log's own.
  kafkaBrokers: kafkaSettings.kafkaBrokers,
  kafkaTopic: kafkaSettings.kafkaTopic,
};

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  return readSettings(registryProcess, env, [HOST_CHECK, TLS_CHECK, POSTGRES_CHECK, portsCheck('grpcPort', 'metricsPort')]);
}
