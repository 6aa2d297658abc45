import { readSettings } from '@evenfall/config';
import { HOST_CHECK, portsCheck, POSTGRES_CHECK, postgresSettings, privateServerSettings } from '@evenfall/service-main/settings';

/** Everything the registry reads as a process of its own. */
export const registryProcess = { ...privateServerSettings('registry'), ...postgresSettings };

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  return readSettings(registryProcess, env, [HOST_CHECK, POSTGRES_CHECK, portsCheck('grpcPort', 'metricsPort')]);
}
