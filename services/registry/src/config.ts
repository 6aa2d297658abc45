import { readSettings } from '@evenfall/config';
import {
  HOST_CHECK,
  kafkaSettings,
  portsCheck,
  POSTGRES_CHECK,
  postgresSettings,
  privateServerSettings,
  webhookSettings,
} from '@evenfall/service-main/settings';

/** Everything the registry reads as a process of its own. */
export const registryProcess = {
  ...privateServerSettings('registry'),
  ...postgresSettings,
  ...webhookSettings,
  // It speaks to no broker: it refuses topics as destinations where there is none, and the event log's own.
  kafkaBrokers: kafkaSettings.kafkaBrokers,
  kafkaTopic: kafkaSettings.kafkaTopic,
};

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  return readSettings(registryProcess, env, [HOST_CHECK, POSTGRES_CHECK, portsCheck('grpcPort', 'metricsPort')]);
}
