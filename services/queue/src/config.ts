import { integer, readSettings } from '@evenfall/config';
import {
  EVENT_LOG_CHECKS,
  eventLogSettings,
  HOST_CHECK,
  peerSettings,
  portsCheck,
  TLS_CHECK,
  privateServerSettings,
  webhookSettings,
} from '@evenfall/service-main/settings';

/** What the queue reads from the environment. */
export const queueSettings = {
  laneLimit: integer({
    name: 'EVENFALL_LANE_LIMIT',
    doc: 'Events that may wait in one lane; more are refused with LANE_FULL.',
    fallback: '100000',
    min: 1,
    max: 100_000_000,
  }),
  ...webhookSettings,
};

/** Everything the queue reads as a process of its own. */
export const queueProcess = {
  ...privateServerSettings('queue'),
  ...eventLogSettings,
  registryAddress: peerSettings.registryAddress,
  schedulerAddress: peerSettings.schedulerAddress,
  eventStoreAddress: peerSettings.eventStoreAddress,
  ...queueSettings,
};

/** Reads the environment, or throws with a list of all faults. */
export function readConfig(env: Readonly<Record<string, string | undefined>>) {
  return readSettings(queueProcess, env, [HOST_CHECK, TLS_CHECK, ...EVENT_LOG_CHECKS, portsCheck('grpcPort', 'metricsPort')]);
}
